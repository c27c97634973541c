"""Motion-side classifiers of violence: per-frame scores from networks of two architectures.

Two of them, which share neither architecture nor seed, so that a method cannot look better by one classifier's error.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.networks.components import (
    build_config,
    build_network,
    config_entry,
    load_config,
    load_statistics,
    load_weights,
)
from hmu_tasks.models.networks.layers import seeded
from hmu_tasks.models.networks.lengths import UNIT, equal_length_batches
from hmu_tasks.models.networks.memory import Batches
from hmu_tasks.models.networks.recurrent import read_both_ways
from hmu_tasks.runtime.bundle_files import check_part, check_statistics
from hmu_tasks.runtime.errors import DataError


@dataclass(frozen=True)
class ClassifierConfig:
    """Input and hidden width; `pool` frames are averaged around the most violent moment of a clip."""

    features: int = 263
    width: int = 96
    pool: int = 5

    @property
    def positions(self) -> slice:
        """Local joint positions: features 4:67 of 263, and the same part of the 12 J - 1 features of any J joints."""
        return slice(4, 3 * self._joints + 1)

    @property
    def velocities(self) -> slice:
        """Joint velocities: features 193:259 of 263, and the same part for any J joints."""
        return slice(9 * self._joints - 5, 12 * self._joints - 5)

    @property
    def _joints(self) -> int:
        return (self.features + 1) // 12


class ViolenceClassifier(nn.Module):
    """One logit per frame of a motion; sub-classes are built as `(config, seed=...)` and read no global path."""

    config: ClassifierConfig

    @abstractmethod
    def logits(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Score frames: features [B, F, D] normalised, lengths [B] frames, on the CPU -> [B, F].

        F is a multiple of four. Rows beyond a length mean nothing.
        """

    def loss(self, features: Tensor, violent: Tensor, lengths: Tensor) -> Tensor:
        """Per-frame binary cross-entropy; violent: [B, F] 0/1, lengths: [B] frames, on the CPU."""
        inside = (torch.arange(features.shape[1])[None] < lengths[:, None]).to(features)
        logits = self.logits(features, lengths)
        per_frame = functional.binary_cross_entropy_with_logits(logits, violent, reduction="none")
        return (per_frame * inside).sum() / inside.sum()

    @torch.no_grad()
    def scores(self, features: Tensor) -> np.ndarray:
        """Score clips of one length by their most violent moment.

        features: [B, F, D] normalised -> [B] in [0, 1], the largest moving average of the frame probabilities.
        """
        frames = torch.sigmoid(self.logits(features, torch.full((len(features),), features.shape[1])))
        pooled = frames.unfold(1, min(self.config.pool, frames.shape[1]), 1).mean(-1)
        return pooled.amax(1).cpu().numpy()


class ConvolutionalClassifier(ViolenceClassifier):
    """Four dilated convolutions (reach 31 frames at 20 fps, 1.5 s) over joint positions and velocities."""

    def __init__(self, config: ClassifierConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        seen = (config.positions, config.velocities)
        width = sum(part.stop - part.start for part in seen)
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

    def logits(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Convolve; what lies beyond a length is read as motion, so that a batch is best of similar lengths."""
        del lengths
        parts = [features[..., part] for part in (self.config.positions, self.config.velocities)]
        found: Tensor = self.body(torch.cat(parts, dim=-1).transpose(1, 2))[:, 0]
        return found


class RecurrentClassifier(ViolenceClassifier):
    """A bidirectional GRU over groups of four frames of joint positions: it sees all of a motion, but no velocities."""

    def __init__(self, config: ClassifierConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        width = UNIT * (config.positions.stop - config.positions.start)
        with seeded(seed):
            self.group = nn.Sequential(nn.Linear(width, config.width), nn.GELU(), nn.Dropout(0.1))
            self.gru = nn.GRU(config.width, config.width, batch_first=True, bidirectional=True)
            self.out = nn.Sequential(nn.Dropout(0.1), nn.Linear(2 * config.width, UNIT))

    def logits(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Read both ways; a last group that is not full is filled up with its last frame."""
        positions = features[..., self.config.positions]
        short = -positions.shape[1] % UNIT
        positions = torch.cat([positions, positions[:, -1:].expand(-1, short, -1)], dim=1)
        groups = positions.reshape(len(positions), -1, UNIT * positions.shape[2])
        states, _ = read_both_ways(self.gru, self.group(groups), (lengths + UNIT - 1) // UNIT)
        found: Tensor = self.out(states).flatten(1)
        return found[:, : features.shape[1]]


CLASSIFIERS: dict[str, type[ViolenceClassifier]] = {
    "convolution": ConvolutionalClassifier,
    "recurrent": RecurrentClassifier,
}


@dataclass(frozen=True)
class Violence:
    """A violence classifier with its input statistics and threshold."""

    network: ViolenceClassifier
    mean: Tensor
    std: Tensor
    threshold: float

    def scores(self, clips: Sequence[np.ndarray], *, batch: int | None = None) -> np.ndarray:
        """Score N raw feature clips [F_i, D] in batches of equal length -> [N]; None chooses one by the device."""
        found = np.empty(len(clips))

        def scored(rows: Sequence[int]) -> np.ndarray:
            stacked = torch.from_numpy(np.stack([clips[i] for i in rows])).to(self.mean.device)
            return self.network.scores((stacked - self.mean) / self.std)

        batches = Batches(batch or (128 if self.mean.device.type == "cpu" else 1024), what="motions")
        for equal in equal_length_batches([len(c) for c in clips], batches.size):
            for rows, scores in batches.over(equal, scored):
                found[rows] = scores
        return found

    def flagged(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Say which of N raw feature clips are violent, [N] bool."""
        marked: np.ndarray = self.scores(clips) > self.threshold
        return marked


def calibrate(safe: np.ndarray, *, false_alarms: float) -> float:
    """Return the threshold that at most the share `false_alarms` of the safe scores exceed; at least 0.5.

    Raises DataError when there is no safe score.
    """
    if len(safe) == 0:
        raise DataError(
            "the classifier cannot be calibrated: no validation clip is free of violence; add retain clips to the "
            "validation split"
        )
    ordered = np.sort(safe)
    allowed = int(np.floor(false_alarms * len(ordered)))
    return float(max(ordered[-allowed - 1], 0.5))


def load_classifiers(folder: Path, device: torch.device) -> Mapping[str, Violence]:
    """Read the violence classifiers by name; empty where the dataset has no action labels."""
    config = load_config(folder)
    if not config_entry(config, "labels", folder):
        return {}
    check_statistics(folder)
    found = {}
    for name, kind in CLASSIFIERS.items():
        inner = folder / name
        check_part(inner, folder)
        described = load_config(inner)
        sizes = build_config(ClassifierConfig, config_entry(described, "network", inner), inner)
        network = load_weights(build_network(kind, sizes, inner), inner, device)
        threshold = float(config_entry(described, "threshold", inner))
        found[name] = Violence(network, *load_statistics(folder, device), threshold)
    return found
