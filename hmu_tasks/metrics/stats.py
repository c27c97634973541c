"""Confidence intervals: over repeats, prompts, clusters of prompts, and for shares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its confidence limits.

    n: prompts (or clips) behind each value; repeats: independent repeats of the whole measurement.
    With one repeat there is no spread to estimate and low = mean = high.
    """

    mean: float
    low: float
    high: float
    n: int
    repeats: int


def _values(values: ArrayLike, what: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError(f"{what}: no values given")
    if not np.isfinite(array).all():
        raise ValueError(f"{what}: values must be finite")
    return array


def _upper(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
    return 0.5 + level / 2.0


def repeat_interval(
    values: ArrayLike, *, n: int = 0, level: float = 0.95, kind: Literal["t", "normal"] = "t"
) -> Interval:
    """Return the mean over repeats with its confidence interval.

    values: [R] one per repeat; n: prompts behind each value, passed through.
    kind "t": Student's t with the unbiased spread, right for few repeats.
    kind "normal": 1.96 s / sqrt(R) with s over R instead of R - 1, as text-to-motion papers report it
    (Guo et al. 2022).
    Raises ValueError when values are missing or not finite.
    """
    array = _values(values, "repeat_interval").ravel()
    repeats, mean = array.size, float(array.mean())
    if repeats == 1:
        return Interval(mean, mean, mean, n, 1)
    upper = _upper(level)
    if kind == "t":
        half = float(stdtrit(repeats - 1, upper)) * float(array.std(ddof=1)) / repeats**0.5
    else:
        half = float(ndtri(upper)) * float(array.std(ddof=0)) / repeats**0.5
    return Interval(mean, mean - half, mean + half, n, repeats)


def bootstrap_interval(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    statistic: Callable[[NDArray[Any]], float] = np.mean,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return `statistic` of the values with its percentile bootstrap interval (Efron 1979).

    values: [n, ...]; rows are resampled with replacement. `mean` of the result is the plug-in statistic.
    """
    array = _values(values, "bootstrap_interval")
    n = array.shape[0]
    picks = rng.integers(0, n, size=(resamples, n))
    spread = np.array([float(statistic(array[pick])) for pick in picks])
    low, high = percentiles(spread, level=level)
    return Interval(float(statistic(array)), low, high, n, 1)


def cluster_means(
    values: ArrayLike, clusters: ArrayLike, *, rng: np.random.Generator, resamples: int = 1000
) -> Floats:
    """Return the mean of the values in bootstrap samples of whole clusters, [resamples] (Field and Welsh 2007).

    values: [n], NaN for missing ones; clusters: [n] labels of dependent rows, such as a clip and its mirror image.
    Samples without any value are left out, so that fewer may be returned.
    """
    array, labels = np.asarray(values, dtype=np.float64).ravel(), np.asarray(clusters).ravel()
    if array.size == 0 or array.shape != labels.shape:
        raise ValueError(f"cluster_means: {array.size} values in {labels.size} cluster labels")
    _, places = np.unique(labels, return_inverse=True)
    there = np.isfinite(array)
    sums = np.bincount(places, weights=np.where(there, array, 0.0))
    counts = np.bincount(places, weights=there.astype(np.float64))
    times = rng.multinomial(sums.size, np.full(sums.size, 1.0 / sums.size), size=resamples)
    counted = times @ counts
    means: Floats = (times @ sums)[counted > 0] / counted[counted > 0]
    return means


def cluster_interval(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return the mean of the values with its percentile bootstrap interval over clusters, see `cluster_means`.

    n: values that are not NaN. Raises ValueError when there is none.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    kept = array[np.isfinite(array)]
    if kept.size == 0:
        raise ValueError("cluster_interval: no values given")
    low, high = percentiles(cluster_means(array, clusters, rng=rng, resamples=resamples), level=level)
    return Interval(float(kept.mean()), low, high, kept.size, 1)


def percentiles(samples: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Return the lower and the upper limit that enclose the middle `level` of bootstrap samples."""
    upper = _upper(level)
    low, high = np.quantile(_values(samples, "percentiles"), [1.0 - upper, upper])
    return float(low), float(high)


def wilson_interval(successes: float, n: int, *, level: float = 0.95) -> Interval:
    """Return a share with Wilson's score interval (Wilson 1927); sound near 0 and 1 and for small n."""
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"wilson_interval: {successes} successes of {n}")
    z = float(ndtri(_upper(level)))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), n, 1)
