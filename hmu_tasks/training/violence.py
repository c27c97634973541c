"""Training of the violence classifier on real motions and on their reconstructions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.classifier import ViolenceClassifier
from hmu_tasks.models.momask import Tokenizer
from hmu_tasks.models.training import Progress, Schedule, Trained, fit

CHUNK = 512  # clips that are rebuilt at once


def rebuilt_clips(tokenizer: Tokenizer, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Decode the codes [T_i, Q] of N clips -> N float16 arrays [4 T_i, D].

    All reconstructions of a dataset are in memory at once; half precision is far finer than what they miss.
    """
    order = np.argsort([len(clip) for clip in codes], kind="stable")
    found: list[np.ndarray] = [np.empty(0)] * len(codes)
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        for i, motion in zip(rows, tokenizer.decode([codes[i] for i in rows]), strict=True):
            found[i] = motion.astype(np.float16)
    return found


def train_classifier(
    network: ViolenceClassifier,
    versions: Sequence[Sequence[np.ndarray]],
    violent: Sequence[np.ndarray],
    *,
    mean: Tensor,
    std: Tensor,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    checkpoint: Path | None,
    progress: Progress | None,
) -> Trained:
    """Train on per-frame labels.

    versions: for each clip its versions (the real one, then reconstructions), raw features [F_i, D]; one is drawn
        per step, and noise and a little smoothing are added, so that no fine texture gives a version away.
    violent: for each clip its frame labels [F_i], 0 or 1.
    """
    lengths = np.array([len(v[0]) for v in versions])

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        features = torch.zeros(len(rows), int(lengths[rows].max()), len(mean))
        target = torch.zeros(features.shape[:2])
        inside = torch.zeros(features.shape[:2])
        draws = torch.rand(len(rows), generator=generator).tolist()
        for b, (i, draw) in enumerate(zip(rows, draws, strict=True)):
            clip = versions[i][int(draw * len(versions[i]))]
            features[b, : len(clip)] = (torch.from_numpy(np.array(clip, np.float32)) - mean) / std
            target[b, : len(clip)] = torch.from_numpy(violent[i][: len(clip)].astype(np.float32))
            inside[b, : len(clip)] = 1.0
        features += 0.1 * torch.randn(features.shape, generator=generator)
        loss = network.loss(features.to(device), target.to(device), inside.to(device))
        return loss, {"loss": loss.item()}

    return fit(
        network,
        loss_of,
        lengths,
        schedule=schedule,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        progress=progress,
    )
