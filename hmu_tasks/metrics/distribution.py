"""Distances between sets of embeddings and the spread within one: FID, KID, Diversity, MultiModality."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hmu_tasks.metrics.inputs import Embedded, Influence, Repeated
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


def frechet_influence(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return the derivative of `frechet_distance` with respect to the weight of each row of x [n] and of y [m].

    With T the optimal transport map between the Gaussians, T = C_x^-1/2 (C_x^1/2 C_y C_x^1/2)^1/2 C_x^-1/2, the
    derivative of the distance in C_x is I - T, and in the mean of x twice the gap (Dowson and Landau 1982). Where a
    covariance is rank-deficient, its pseudo-inverse stands in.
    """
    first, second = _pair(x, y)
    gap = first.mean(axis=0) - second.mean(axis=0)
    left, right = first - first.mean(axis=0), second - second.mean(axis=0)
    covariances = left.T @ left / (len(left) - 1), right.T @ right / (len(right) - 1)

    def moved(rows: Floats, gap: Floats, own: Floats, other: Floats) -> Floats:
        slope = np.eye(len(own)) - _transport(own, other)
        change = 2.0 * rows @ gap + np.einsum("ne,ef,nf->n", rows, slope, rows, optimize=True)
        found: Floats = (change - change.mean()) / len(rows)
        return found

    return moved(left, gap, *covariances), moved(right, -gap, *covariances[::-1])


def _transport(start: Floats, end: Floats) -> Floats:
    values, vectors = np.linalg.eigh(start)
    values = np.maximum(values, 0.0)
    large = values > 1e-10 * max(float(values.max()), 1e-300)
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors * np.where(large, 1.0 / np.sqrt(np.where(large, values, 1.0)), 0.0)) @ vectors.T
    shared, axes = np.linalg.eigh(root @ end @ root)
    found: Floats = inverse @ (axes * np.sqrt(np.maximum(shared, 0.0))) @ axes.T @ inverse
    return found


def kernel_influence(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return the derivative of `kernel_distance` over all pairs with respect to the weight of each row of x and y."""
    first, second = _pair(x, y)
    width = first.shape[1]
    between = (first @ second.T / width + 1.0) ** 3

    def moved(rows: Floats, across: Floats) -> Floats:
        n = len(rows)
        kernel = (rows @ rows.T / width + 1.0) ** 3
        np.fill_diagonal(kernel, 0.0)
        own = kernel.sum(axis=1) / (n - 1)
        found: Floats = 2.0 / n * ((own - own.mean()) - (across - across.mean()))
        return found

    return moved(first, between.mean(axis=1)), moved(second, between.mean(axis=0))


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
    if pairs is None:
        return pair_distance(values, *np.triu_indices(len(values), k=1))
    if rng is None:
        raise ValueError("diversity over random pairs needs rng")
    return pair_distance(values, *_random_pairs(len(values), pairs, rng))


def _random_pairs(n: int, pairs: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    count = min(pairs, n)
    return rng.choice(n, count, replace=False), rng.choice(n, count, replace=False)


def multimodality(embeddings: ArrayLike, *, pairs: int = 10, rng: np.random.Generator) -> Floats:
    """Return, for each prompt, the mean distance between its motions, [P]; the mean is MultiModality (Guo et al. 2022).

    embeddings: [P prompts, S samples, E]. The index pairs are sampled once and shared by all prompts.
    Raises ValueError when a prompt has fewer samples than `pairs`.
    """
    values = np.asarray(embeddings, dtype=np.float64)
    if values.ndim != 3 or values.shape[0] == 0:
        raise ValueError(f"embeddings must be [prompts, samples, width], got shape {values.shape}")
    samples = values.shape[1]
    if samples < pairs:
        raise ValueError(f"{pairs} pairs need as many samples per prompt, got {samples}")
    first, second = _random_pairs(samples, pairs, rng)
    found: Floats = np.linalg.norm(values[:, first] - values[:, second], axis=-1).mean(axis=1)
    return found


def _against_real(found: Embedded, distance: Callable[[ArrayLike, ArrayLike], float]) -> list[float] | None:
    """Distance of each repeat's motions to the real ones; None without real motions or with one motion per repeat."""
    real = found.real
    if real is None or found.n < 2:
        return None
    return found.each(lambda repeat: distance(found.embedded[found.block(repeat)], real))


def _moved_against_real(
    found: Embedded, influence: Callable[[ArrayLike, ArrayLike], tuple[Floats, Floats]]
) -> Influence:
    assert found.real is not None
    rows = [influence(found.embedded[found.block(repeat)], found.real) for repeat in range(found.repeats)]
    return Influence(np.stack([own for own, _ in rows]), np.stack([real for _, real in rows]))


def _pairs(found: Embedded) -> list[tuple[Indices, Indices]]:
    """The random pairs of every repeat."""
    pairs = []
    for repeat in range(found.repeats):
        rng = found.rng(repeat)
        rng.permutation(found.n)  # R-precision's shuffle comes first in a repeat's random numbers
        pairs.append(_random_pairs(found.n, found.diversity_pairs, rng))
    return pairs


def _diversity(found: Embedded) -> list[float] | None:
    if found.real is None or found.n < 2:
        return None
    pairs = found.once(_pairs)
    return found.each(lambda repeat: pair_distance(found.embedded[found.block(repeat)], *pairs[repeat]))


def _moved_diversity(found: Embedded) -> Influence:
    """How each motion moves Diversity: through the pairs it belongs to."""
    rows = []
    for repeat, (first, second) in enumerate(found.once(_pairs)):
        values = np.asarray(found.embedded[found.block(repeat)], dtype=np.float64)
        far = np.linalg.norm(values[first] - values[second], axis=1)
        share = (far - far.mean()) / far.size
        rows.append(np.bincount(first, share, found.n) + np.bincount(second, share, found.n))
    return Influence(np.stack(rows))


def _spread_of_prompts(found: Repeated) -> Floats:
    return multimodality(found.embedded, pairs=found.pairs, rng=np.random.default_rng([found.seed, 5]))


def _moved_multimodality(found: Repeated) -> Influence:
    spread = found.once(_spread_of_prompts)
    alone = np.arange(spread.size) if found.clusters is None else found.clusters
    return Influence(((spread - spread.mean()) / spread.size)[None], clusters=alone)


# On forget prompts the target is D_r's FID: a larger one is damage, not forgetting.
FID = Metric(
    "FID",
    "",
    {"forget": "retrain", "retain": "lower"},
    Embedded,
    lambda found: _against_real(found, frechet_distance),
    whole=True,
    influence=lambda found: _moved_against_real(found, frechet_influence),
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
    influence=lambda found: _moved_against_real(found, kernel_influence),
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
    influence=_moved_diversity,
    columns=(Column("forget", 40, "forget", "Div"), Column("retain", 50, "retain", "Div")),
)
MULTIMODALITY = Metric(
    "MultiModality",
    "",
    {"forget": "retrain", "retain": "retrain"},
    Repeated,
    lambda found: [float(found.once(_spread_of_prompts).mean())],
    whole=True,
    influence=_moved_multimodality,
)
