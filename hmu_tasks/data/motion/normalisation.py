"""Feature statistics as HumanML3D computes them, and their reweighting for training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion.layout import DIMENSIONS, Layout, layout_of
from hmu_tasks.runtime.errors import DataError


def _groups(layout: Layout) -> tuple[slice, ...]:
    """Groups of features that share one standard deviation, so that normalising keeps their relative scale."""
    positions, turns = layout.local_positions, layout.rotations
    return slice(0, 1), slice(1, 3), slice(3, 4), positions, turns, layout.velocities, layout.contacts


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of each feature over all frames; float32 [D] each."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]


class RunningStatistics:
    """Streaming statistics over clips, in float64 and constant memory (Chan et al. 1979)."""

    def __init__(self, width: int = DIMENSIONS) -> None:
        self.layout = layout_of(width)
        self.frames = 0
        self._mean = np.zeros(width)
        self._squares = np.zeros(width)

    def add(self, features: NDArray[Any]) -> None:
        """Add the frames of features [F, D]."""
        if len(features) == 0:
            return
        values = features.astype(np.float64)
        mean = values.mean(axis=0)
        total = self.frames + len(values)
        shift = mean - self._mean
        self._squares += ((values - mean) ** 2).sum(axis=0) + shift**2 * self.frames * len(values) / total
        self._mean += shift * len(values) / total
        self.frames = total

    def result(self) -> Statistics:
        """Return the statistics of all frames so far; raises DataError if there were none.

        The population standard deviation is averaged within each group of features. A constant group gets 1, so
        that normalising never divides by zero.
        """
        if self.frames == 0:
            raise DataError("no frames to compute mean and std from; the dataset has no usable clip")
        std = np.sqrt(self._squares / self.frames)
        for group in _groups(self.layout):
            std[group] = std[group].mean()
        std[std < 1e-8] = 1.0
        return Statistics(mean=self._mean.astype(np.float32), std=std.astype(np.float32))


def emphasise(std: NDArray[np.float32], *, feature_bias: float) -> NDArray[np.float32]:
    """Divide the std of root (first four) and contact (last four) features, so that models weight them more.

    std: [D]; feature_bias: positive divisor. The released tokenizers were trained with 25: the official script
    divides by 5 twice, once for each dataset it builds.
    """
    if feature_bias <= 0:
        raise DataError(
            f"feature_bias is {feature_bias}; it divides a standard deviation and must be positive"
        )
    biased = std.copy()
    biased[:4] /= feature_bias
    biased[layout_of(len(std)).contacts] /= feature_bias
    return biased
