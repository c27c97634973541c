"""Training of the masked base transformer and of the residual transformer on codes and sentence vectors."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.training.loop.fit import Curves, Progress, Schedule, Trained, fit


class TokenLoss(Protocol):
    """Cross-entropy over predicted codes and the share predicted right."""

    @property
    def loss(self) -> Tensor:
        """Mean cross-entropy."""
        ...

    @property
    def accuracy(self) -> Tensor:
        """Share of right predictions."""
        ...


Predict = Callable[[Tensor, Tensor, Tensor, torch.Generator], TokenLoss]


class CodeSet:
    """Codes [T_i, Q] of each clip with the sentence vectors of its captions."""

    def __init__(
        self, codes: Sequence[np.ndarray], captions: Sequence[Sequence[str]], vectors: dict[str, Tensor]
    ) -> None:
        self.codes = [torch.from_numpy(np.array(c)) for c in codes]
        self.text = [torch.stack([vectors[caption] for caption in row]) for row in captions]

    @property
    def tokens(self) -> np.ndarray:
        """Lengths in tokens, [N]."""
        return np.array([len(c) for c in self.codes])

    def draw(
        self, rows: np.ndarray, generator: torch.Generator, device: torch.device, padding: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return codes [B, T, Q] filled up with `padding`, one drawn sentence vector per clip [B, W], lengths [B]."""
        chosen = [self.codes[i] for i in rows]
        lengths = torch.tensor([len(c) for c in chosen])
        codes = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=padding)
        draws = torch.rand(len(rows), generator=generator).tolist()
        text = torch.stack(
            [self.text[i][int(draw * len(self.text[i]))] for i, draw in zip(rows, draws, strict=True)]
        )
        return codes.to(device), text.to(device), lengths.to(device)


def train_transformer(
    network: nn.Module,
    predict: Predict,
    train: CodeSet,
    val: CodeSet,
    *,
    padding: int,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    checkpoint: Path | None,
    progress: Progress | None,
    curves: Curves | None = None,
) -> Trained:
    """Train the base transformer (Guo et al. 2024, section 3.2) or the residual one (section 3.3).

    predict: (codes [B, T, Q], text [B, W], lengths [B], generator) -> loss and accuracy of `network`.
    """

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        codes, text, lengths = train.draw(rows, generator, device, padding)
        result = predict(codes, text, lengths, generator)
        return result.loss, {"loss": result.loss.item(), "accuracy": float(result.accuracy)}

    def validate() -> float:
        generator = torch.Generator().manual_seed(seed)
        losses = []
        for start in range(0, len(val.codes), schedule.batch):
            rows = np.arange(start, min(start + schedule.batch, len(val.codes)))
            codes, text, lengths = val.draw(rows, generator, device, padding)
            losses.append(predict(codes, text, lengths, generator).loss.item())
        return float(np.mean(losses))

    return fit(
        network,
        loss_of,
        train.tokens,
        schedule=schedule,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        validate=validate,
        progress=progress,
        curves=curves,
    )
