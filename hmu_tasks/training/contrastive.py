"""Contrastive training of text against motion: the evaluator, and the small text encoder as CLIP's stand-in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.models.evaluator import Evaluator, contrastive_loss
from hmu_tasks.models.layers import seeded
from hmu_tasks.models.text import SmallTextConfig, SmallTextEncoder
from hmu_tasks.models.training import Progress, Schedule, Trained, fit
from hmu_tasks.models.words import UNKNOWN, HashedWords, embed_tokens
from hmu_tasks.training.batches import Caption, ClipSet

WORD_DROP = 0.05  # share of words replaced by `unk`, so that masked captions (MM-Safe) are no unseen input


def drop_words(captions: list[Caption], generator: torch.Generator) -> list[list[str]]:
    """Replace a few words by `unk`; returns the tokens of each caption."""
    return [
        [
            f"{UNKNOWN}/OTHER" if draw < WORD_DROP else token
            for token, draw in zip(
                c.tokens, torch.rand(len(c.tokens), generator=generator).tolist(), strict=True
            )
        ]
        for c in captions
    ]


class TokenTower(nn.Module):
    """The evaluator's text side: captions as word vectors with part-of-speech classes."""

    def __init__(self, evaluator: Evaluator, words: HashedWords, max_words: int) -> None:
        super().__init__()
        self.evaluator, self.words, self.max_words = evaluator, words, max_words

    def embed(self, tokens: list[list[str]]) -> Tensor:
        """tokens: B lists of `word/POS` -> [B, E]."""
        vectors, classes, lengths = embed_tokens(tokens, self.words, max_words=self.max_words)
        device = next(self.evaluator.parameters()).device
        return self.evaluator.embed_text(
            torch.from_numpy(vectors).to(device),
            torch.from_numpy(classes).to(device),
            torch.from_numpy(lengths),
        )


def train_evaluator(
    evaluator: Evaluator,
    words: HashedWords,
    train: ClipSet,
    val: ClipSet,
    *,
    mean: Tensor,
    std: Tensor,
    max_words: int,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    checkpoint: Path | None,
    progress: Progress | None,
) -> Trained:
    """Train the three encoders together (Guo et al. 2022) with a symmetric InfoNCE loss."""
    tower = TokenTower(evaluator, words, max_words)

    def text_of(captions: list[Caption], generator: torch.Generator | None) -> Tensor:
        return tower.embed(
            [c.tokens for c in captions] if generator is None else drop_words(captions, generator)
        )

    return _fit_pair(
        evaluator, evaluator, text_of, train, val, mean, std, schedule, seed, device, checkpoint, progress
    )


class TextWithMotion(nn.Module):
    """The small text encoder, its projection into the space of a motion encoder, and that motion encoder."""

    def __init__(self, config: SmallTextConfig, evaluator: Evaluator, *, seed: int) -> None:
        super().__init__()
        self.text = SmallTextEncoder(config, seed=seed)
        with seeded(seed + 1):
            self.project = nn.Linear(config.width, evaluator.config.width)
        self.motion = evaluator


def train_text(
    pair: TextWithMotion,
    train: ClipSet,
    val: ClipSet,
    *,
    mean: Tensor,
    std: Tensor,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    checkpoint: Path | None,
    progress: Progress | None,
) -> Trained:
    """Train the small text encoder against a motion encoder of its own, as CLIP was trained against pictures."""

    def text_of(captions: list[Caption], generator: torch.Generator | None) -> Tensor:
        del generator
        projected: Tensor = pair.project(pair.text([c.text for c in captions]))
        return projected

    return _fit_pair(
        pair, pair.motion, text_of, train, val, mean, std, schedule, seed, device, checkpoint, progress
    )


def _fit_pair(
    model: nn.Module,
    motion_side: Evaluator,
    text_of: Callable[[list[Caption], torch.Generator | None], Tensor],
    train: ClipSet,
    val: ClipSet,
    mean: Tensor,
    std: Tensor,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    checkpoint: Path | None,
    progress: Progress | None,
) -> Trained:
    def pair_loss(clips: ClipSet, rows: np.ndarray, generator: torch.Generator, training: bool) -> Tensor:
        features, lengths = clips.padded(rows, mean, std)
        motion = motion_side.embed_motion(features.to(device), lengths)
        text = text_of(clips.draw_captions(rows, generator), generator if training else None)
        return contrastive_loss(text, motion)

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        loss = pair_loss(train, rows, generator, training=True)
        return loss, {"loss": loss.item()}

    def validate() -> float:
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(val.ids), generator=generator).numpy()
        groups = [order[i : i + schedule.batch] for i in range(0, len(order), schedule.batch)]
        losses = [pair_loss(val, g, generator, training=False).item() for g in groups if len(g) > 1]
        return float(np.mean(losses)) if losses else 0.0

    # A contrastive batch of clips of one length would let length alone tell pairs apart the less; keep lengths mixed.
    mixed = np.zeros(len(train.ids))
    return fit(
        model,
        loss_of,
        mixed,
        schedule=schedule,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        validate=validate,
        progress=progress,
        mixed=False,
    )
