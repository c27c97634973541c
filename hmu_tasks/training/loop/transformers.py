"""Clips as codes with their embedded captions, and the training of a network on them."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.training.loop.fit import FitOptions, Trained, fit


class CodeSet:
    """Codes [T_i, Q] of each clip with its embedded captions, rows [1 + n, W] each."""

    def __init__(
        self, codes: Sequence[np.ndarray], captions: Sequence[Sequence[str]], rows: dict[str, Tensor]
    ) -> None:
        self.codes = [torch.from_numpy(np.array(c)) for c in codes]
        self.text = [[rows[caption] for caption in own] for own in captions]

    @property
    def tokens(self) -> np.ndarray:
        """Lengths in tokens, [N]."""
        return np.array([len(c) for c in self.codes])

    def batch(
        self, rows: np.ndarray, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return codes [B, T, Q], zero beyond the length, a random caption of each clip [B, 1 + n, W], lengths [B]."""
        chosen = [self.codes[i] for i in rows]
        lengths = torch.tensor([len(c) for c in chosen])
        codes = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True)
        numbers = torch.rand(len(rows), generator=generator).tolist()
        text = padded(
            [self.text[i][int(number * len(self.text[i]))] for i, number in zip(rows, numbers, strict=True)]
        )
        return codes.to(device), text.to(device), lengths.to(device)


def fit_codes(
    network: CodeNetwork,
    train: CodeSet,
    val: CodeSet,
    **options: Unpack[FitOptions],
) -> Trained:
    """Train a network with its own training loss (for MoMask's: Guo et al. 2024, sections 3.2 and 3.3)."""
    device, batch = options["device"], options["schedule"].batch

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        result = network.training_loss(*train.batch(rows, generator, device), generator)
        return result.loss, {"loss": result.loss.item(), "accuracy": float(result.accuracy)}

    def validate() -> float:
        generator = torch.Generator().manual_seed(options["seed"])
        losses = []
        for start in range(0, len(val.codes), batch):
            rows = np.arange(start, min(start + batch, len(val.codes)))
            losses.append(network.training_loss(*val.batch(rows, generator, device), generator).loss.item())
        return float(np.mean(losses))

    return fit(
        network,
        loss_of,
        train.tokens,
        validate=validate,
        **options,
    )
