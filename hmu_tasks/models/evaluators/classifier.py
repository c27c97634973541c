"""A motion-side classifier of violence: per-frame scores from a small convolutional network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.networks.components import (
    build_config,
    config_entry,
    load_config,
    load_statistics,
    load_weights,
)
from hmu_tasks.models.networks.layers import seeded
from hmu_tasks.models.networks.lengths import equal_length_batches
from hmu_tasks.runtime.errors import DataError


@dataclass(frozen=True)
class ClassifierConfig:
    """Input and hidden width; `pool` frames are averaged around the most violent moment of a clip."""

    features: int = 263
    width: int = 96
    pool: int = 5


class ViolenceClassifier(nn.Module):
    """Four dilated convolutions (reach 31 frames at 20 fps, 1.5 s) to one logit per frame.

    Local joint positions and velocities are read, not the global path: features 4:67 and 193:259 of 263, and the same
    parts of the 12 J - 1 features of any J joints.
    """

    def __init__(self, config: ClassifierConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        joints = (config.features + 1) // 12
        self.positions = slice(4, 3 * joints + 1)
        self.velocities = slice(9 * joints - 5, 12 * joints - 5)
        width = 3 * (joints - 1) + 3 * joints
        with seeded(seed):
            for dilation in (1, 2, 4, 8):
                layers += [
                    nn.Conv1d(width, config.width, 3, padding=dilation, dilation=dilation),
                    nn.BatchNorm1d(config.width),
                    nn.GELU(),
                    nn.Dropout(0.1),
                ]
                width = config.width
            self.body = nn.Sequential(*layers, nn.Conv1d(width, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """features: [B, F, D] normalised -> logits [B, F]."""
        seen = torch.cat([features[..., self.positions], features[..., self.velocities]], dim=-1)
        logits: Tensor = self.body(seen.transpose(1, 2))[:, 0]
        return logits

    def loss(self, features: Tensor, violent: Tensor, inside: Tensor) -> Tensor:
        """Per-frame binary cross-entropy; violent: [B, F] 0/1, inside: [B, F] 1 within the clip."""
        per_frame = functional.binary_cross_entropy_with_logits(self(features), violent, reduction="none")
        return (per_frame * inside).sum() / inside.sum()

    @torch.no_grad()
    def scores(self, features: Tensor) -> np.ndarray:
        """Score clips of one length by their most violent moment.

        features: [B, F, D] normalised -> [B] in [0, 1], the largest moving average of the frame probabilities.
        """
        frames = torch.sigmoid(self(features))
        pooled = frames.unfold(1, min(self.config.pool, frames.shape[1]), 1).mean(-1)
        return pooled.amax(1).cpu().numpy()


def score_clips(
    network: ViolenceClassifier, clips: Sequence[np.ndarray], mean: Tensor, std: Tensor, *, batch: int = 128
) -> np.ndarray:
    """Score N raw feature clips [F_i, D] in batches of equal length -> [N]."""
    found = np.empty(len(clips))
    for rows in equal_length_batches([len(c) for c in clips], batch):
        stacked = torch.from_numpy(np.stack([clips[i] for i in rows])).to(mean.device)
        found[rows] = network.scores((stacked - mean) / std)
    return found


def calibrate(safe: np.ndarray, *, false_positive_rate: float) -> float:
    """Return the threshold that at most `false_positive_rate` of the safe scores exceed; at least 0.5.

    Raises DataError when there is no safe score.
    """
    if len(safe) == 0:
        raise DataError(
            "the classifier cannot be calibrated: no validation clip is free of violence; add retain clips to the "
            "validation split"
        )
    ordered = np.sort(safe)
    allowed = int(np.floor(false_positive_rate * len(ordered)))
    return float(max(ordered[-allowed - 1], 0.5))


def load_classifier(
    folder: Path, device: torch.device
) -> tuple[ViolenceClassifier, Tensor, Tensor, float] | None:
    """Read the violence classifier, its statistics and threshold; None where the dataset has no action labels."""
    config = load_config(folder)
    if not config_entry(config, "labels", folder):
        return None
    sizes = build_config(ClassifierConfig, config_entry(config, "network", folder), folder)
    network = load_weights(ViolenceClassifier(sizes), folder, device)
    return network, *load_statistics(folder, device), float(config_entry(config, "threshold", folder))
