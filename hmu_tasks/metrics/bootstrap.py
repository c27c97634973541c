"""Crossed cluster bootstrap: replicates of every estimate, paired between models, from which all intervals follow.

Prompts are clustered (a clip and its mirror image are one origin) and crossed with repeats and with edit seeds. Each
factor is resampled on its own, and an observation weighs the product of its factors' weights: the pigeonhole bootstrap
(Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), equation 8). It is conservative: noise that
belongs to no factor is counted up to three times.

Common random numbers: the weights of a split depend on the run's seed, the split's name and the sizes of the factors,
never on the model. Replicate b of two models hence has the same clips, so that a difference, a ratio or a
correction is computed replicate by replicate, and its interval is that of the paired quantity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

DRAWS = 400
"""Replicates of every estimate."""
LEVEL = 0.95


@dataclass(frozen=True)
class Weights:
    """Resampling weights of one split, mean 1 each: clusters [B, C], repeats [B, R]."""

    clusters: Floats
    repeats: Floats

    @property
    def draws(self) -> int:
        """B."""
        return len(self.clusters)


@lru_cache(maxsize=64)  # every metric of a split asks for them
def split_weights(
    name: str, *, clusters: int, repeats: int, seed: int, draws: int = DRAWS, role: str = ""
) -> Weights:
    """Return the weights of a split; equal arguments give equal weights.

    role: tells apart what is independent of the split's prompts, such as real motions of other clips.
    """
    key = [seed, clusters, *f"{role}/{name}".encode()]
    return Weights(
        clusters=_counts(np.random.default_rng([11, *key]), clusters, draws),
        repeats=level_weights(repeats, key=(*key, repeats), draws=draws),
    )


def level_weights(size: int, *, key: Sequence[int] = (), draws: int = DRAWS) -> Floats:
    """Return weights [B, size] of a factor with few levels: repeats, edit seeds, trainings.

    n levels resampled with replacement show (n - 1) / n of the variance; the weights are stretched around 1 by
    sqrt(n / (n - 1)), so that they show all of it (Rao and Wu 1988). A single level keeps weight 1.
    """
    if size < 2:
        return np.ones((draws, size))
    counts = _counts(np.random.default_rng([13, size, *key]), size, draws)
    stretched: Floats = 1.0 + (counts - 1.0) * (size / (size - 1.0)) ** 0.5
    return stretched


def _counts(rng: np.random.Generator, size: int, draws: int) -> Floats:
    return rng.multinomial(size, np.full(size, 1.0 / size), size=draws).astype(np.float64)


def mean_replicates(table: ArrayLike, clusters: ArrayLike, weights: Weights) -> Floats:
    """Return replicates [B] of the mean over repeats of the mean over prompts.

    table: [R, n], NaN where a prompt does not count; clusters: [n] indices into the weights. A repeat in which no
    resampled prompt counts is left out of its replicate, which is NaN where that is every repeat.
    """
    values = np.asarray(table, dtype=np.float64)
    places = np.asarray(clusters)
    there = np.isfinite(values)
    size = weights.clusters.shape[1]
    sums = np.stack([np.bincount(places, w, size) for w in np.where(there, values, 0.0)])
    counts = np.stack([np.bincount(places, w, size) for w in there.astype(np.float64)])
    total, count = weights.clusters @ sums.T, weights.clusters @ counts.T  # [B, R]
    means = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    kept = np.where(count > 0, weights.repeats, 0.0)
    divisor = kept.sum(axis=1)
    found: Floats = np.divide(
        (means * kept).sum(axis=1), divisor, out=np.full(len(divisor), np.nan), where=divisor > 0
    )
    return found


def influence_replicates(
    values: ArrayLike, influence: ArrayLike, clusters: ArrayLike, weights: Weights
) -> Floats:
    """Return replicates [B] of the mean over repeats of a statistic of a whole set, by its influence values.

    values: [R], the statistic of each repeat; influence: [R, n], the derivative of the statistic with respect to the
    weight of each motion: the infinitesimal jackknife (Efron 1982, chapter 6). Unlike the recomputed statistic,
    which duplicates in a resampled set bias (they double FID at n = 440, E = 128), it is centred on the estimate.
    """
    changes = np.asarray(influence, dtype=np.float64)
    size = weights.clusters.shape[1]
    sums = np.stack([np.bincount(np.asarray(clusters), row, size) for row in changes])
    shifted = np.asarray(values, dtype=np.float64) + (weights.clusters - 1.0) @ sums.T  # [B, R]
    found: Floats = (shifted * weights.repeats).mean(axis=1)
    return found


def pooled(replicates: Sequence[ArrayLike], *, key: Sequence[int] = ()) -> Floats:
    """Return replicates [B] of the mean over the levels of a further factor: edit seeds, or trainings of all models.

    replicates: [B] of each level. The levels are resampled, too, by the same weights for all estimates with
    that many levels and that key. Pools may be pooled again under another key: edit seeds within a training first, then
    trainings.
    """
    table = np.stack([np.asarray(one, dtype=np.float64) for one in replicates])
    found: Floats = (table * level_weights(len(table), key=key, draws=table.shape[1]).T).mean(axis=0)
    return found


def limits(replicates: ArrayLike, *, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the percentiles that enclose the middle `level` of the finite replicates; None where there are few."""
    array = np.asarray(replicates, dtype=np.float64)
    array = array[np.isfinite(array)]
    if array.size < 20:
        return None
    low, high = np.quantile(array, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def standard_error(replicates: ArrayLike) -> float:
    """Return the bootstrap standard error: the standard deviation of the finite replicates, 0 without any."""
    array = np.asarray(replicates, dtype=np.float64)
    array = array[np.isfinite(array)]
    return float(array.std(ddof=1)) if array.size > 1 else 0.0
