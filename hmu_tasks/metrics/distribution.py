"""Distances between sets of embeddings and the spread within one: FID, KID, Diversity, MultiModality."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hmu_tasks.metrics.inputs import Embedded, Repeated
from hmu_tasks.metrics.metric import Column, Metric

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def _embeddings(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] < 2:
        raise ValueError(f"{name} must be [n >= 2, width], got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
    return array


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    first, second = _embeddings(x, "x"), _embeddings(y, "y")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"embedding widths differ: {first.shape[1]} and {second.shape[1]}")
    return first, second


def rank_deficient(n: int, width: int) -> bool:
    """Return whether n embeddings are too few for a full-rank covariance of `width` features.

    Below this size FID is dominated by its bias: compare such values only at equal n.
    """
    return n <= width


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Return the Fréchet distance between the Gaussians fitted to two sets (FID, Heusel et al. 2017, eq. 6).

    x: [n, E], y: [m, E] embeddings; covariances are the unbiased ones. Never negative.
    With centred data X = Q_x R_x, tr sqrt(C_x C_y) is the sum of the singular values of R_x R_y' over
    sqrt((n - 1)(m - 1)): no matrix square root, no jitter, exact also when n is below E.
    """
    from scipy.linalg import svdvals  # here, since the report reads the descriptors only

    first, second = _pair(x, y)
    gap = first.mean(axis=0) - second.mean(axis=0)
    left, right = first - first.mean(axis=0), second - second.mean(axis=0)
    n, m = left.shape[0] - 1, right.shape[0] - 1
    cross = _triangle(left) @ _triangle(right).T
    shared = float(svdvals(cross).sum()) / (n * m) ** 0.5
    traces = float((left**2).sum()) / n + float((right**2).sum()) / m
    distance: float = float(gap @ gap) + traces - 2.0 * shared
    return max(0.0, distance)


def _triangle(centred: Floats) -> Floats:
    # Q cancels out, so a set already smaller than its width needs no factorisation.
    if centred.shape[0] <= centred.shape[1]:
        return centred
    from scipy.linalg import qr

    triangle: Floats = qr(centred, mode="r", check_finite=False)[0][: centred.shape[1]]
    return triangle


def kernel_distance(
    x: ArrayLike,
    y: ArrayLike,
    *,
    subsets: int | None = None,
    subset_size: int = 1000,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the squared MMD under k(a, b) = (a'b / E + 1)^3 (KID, Bińkowski et al. 2018).

    x: [n, E], y: [m, E]. The estimator is unbiased, so it may be negative when both sets share a source.
    subsets None uses all pairs; a number averages that many random subsets of `subset_size` (at most
    the smaller set), sampled with `rng`.
    """
    first, second = _pair(x, y)
    if subsets is None:
        return _unbiased_mmd(first, second)
    if rng is None:
        raise ValueError("kernel_distance over subsets needs rng")
    size = min(subset_size, first.shape[0], second.shape[0])
    subset_values = [
        _unbiased_mmd(
            first[rng.choice(first.shape[0], size, replace=False)],
            second[rng.choice(second.shape[0], size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return float(np.mean(subset_values))


def _unbiased_mmd(x: Floats, y: Floats) -> float:
    width = x.shape[1]

    def within(values: Floats) -> float:
        kernel: Floats = (values @ values.T / width + 1.0) ** 3
        n = values.shape[0]
        return float((kernel.sum() - np.diagonal(kernel).sum()) / (n * (n - 1)))

    between = float(((x @ y.T / width + 1.0) ** 3).mean())
    return float(within(x) + within(y) - 2.0 * between)


def pair_distance(embeddings: ArrayLike, first: ArrayLike, second: ArrayLike) -> float:
    """Return the mean distance of the given index pairs; embeddings: [n, E], or [P, S, E] per prompt."""
    values = np.asarray(embeddings, dtype=np.float64)
    gaps = values[..., np.asarray(first), :] - values[..., np.asarray(second), :]
    return float(np.linalg.norm(gaps, axis=-1).mean())


def diversity(
    embeddings: ArrayLike, *, pairs: int | None = 300, rng: np.random.Generator | None = None
) -> float:
    """Return the mean distance between motions of one set (Guo et al. 2022).

    embeddings: [n, E]. Two index lists are sampled without replacement, independently, `pairs` long
    (n when fewer), so a motion may meet itself, as published. pairs None averages over all n(n - 1)/2
    different pairs and samples nothing.
    """
    values = _embeddings(embeddings, "embeddings")
    n = values.shape[0]
    if pairs is None:
        upper = np.triu_indices(n, k=1)
        return pair_distance(values, *upper)
    if rng is None:
        raise ValueError("diversity over random pairs needs rng")
    count = min(pairs, n)
    first = rng.choice(n, count, replace=False)
    second = rng.choice(n, count, replace=False)
    return pair_distance(values, first, second)


def multimodality(embeddings: ArrayLike, *, pairs: int = 10, rng: np.random.Generator) -> float:
    """Return the mean distance between motions of the same prompt (Guo et al. 2022).

    embeddings: [P prompts, S samples, E]. The index pairs are sampled once and shared by all prompts.
    Raises ValueError when a prompt has fewer samples than `pairs`.
    """
    values = np.asarray(embeddings, dtype=np.float64)
    if values.ndim != 3 or values.shape[0] == 0:
        raise ValueError(f"embeddings must be [prompts, samples, width], got shape {values.shape}")
    samples = values.shape[1]
    if samples < pairs:
        raise ValueError(f"{pairs} pairs need as many samples per prompt, got {samples}")
    first = rng.choice(samples, pairs, replace=False)
    second = rng.choice(samples, pairs, replace=False)
    return pair_distance(values, first, second)


def _against_real(found: Embedded, distance: Callable[[ArrayLike, ArrayLike], float]) -> list[float] | None:
    """Distance of each repeat's motions to the real ones; None without real motions or with one motion per repeat."""
    real = found.real
    if real is None or found.n < 2:
        return None
    return found.each(lambda repeat: distance(found.embedded[found.block(repeat)], real))


def _diversity(found: Embedded) -> list[float] | None:
    if found.real is None or found.n < 2:
        return None

    def of(repeat: int) -> float:
        rng = found.rng(repeat)
        rng.permutation(found.n)  # R-precision's shuffle comes first in a repeat's random numbers
        return diversity(found.embedded[found.block(repeat)], pairs=found.diversity_pairs, rng=rng)

    return found.each(of)


def _multimodality(found: Repeated) -> list[float]:
    rng = np.random.default_rng([found.seed, 5])
    return [multimodality(found.embedded, pairs=found.pairs, rng=rng)]


# On forget prompts the target is D_r's FID: a larger one is damage, not forgetting.
FID = Metric(
    "FID",
    "",
    {"forget": "retrain", "retain": "lower"},
    Embedded,
    lambda found: _against_real(found, frechet_distance),
    whole=True,
    of_real=False,
    columns=(
        Column("forget", 10, "forget"),
        Column("retain", 10, "retain"),
        Column("card-removed", 30),
        Column("card-kept", 20),
    ),
    headline={"forget": "forget_fid", "retain": "retain_fid"},
)
KID = Metric(
    "KID",
    "",
    {"forget": "retrain", "retain": "lower"},
    Embedded,
    lambda found: _against_real(found, kernel_distance),
    whole=True,
    of_real=False,
    columns=(Column("detail", 30, "forget", digits=3), Column("retain", 20, "retain", digits=3)),
)
DIVERSITY = Metric(
    "Diversity",
    "",
    {"forget": "retrain", "retain": "retrain"},
    Embedded,
    _diversity,
    whole=True,
    columns=(Column("forget", 40, "forget", "Div"), Column("retain", 50, "retain", "Div")),
)
MULTIMODALITY = Metric(
    "MultiModality",
    "",
    {"forget": "retrain", "retain": "retrain"},
    Repeated,
    _multimodality,
    whole=True,
)
