"""How well motions and texts find each other in the evaluator's space: R-precision and MM-Dist."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]


def paired(text: ArrayLike, motion: ArrayLike) -> tuple[Floats, Floats]:
    """Return both sides as float64 [n, E]; ValueError when their shapes differ or a value is not finite."""
    left, right = np.asarray(text, dtype=np.float64), np.asarray(motion, dtype=np.float64)
    if left.ndim != 2 or left.shape != right.shape or left.shape[0] == 0:
        raise ValueError(f"text and motion must both be [n, width], got {left.shape} and {right.shape}")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("embeddings hold values that are not finite")
    return left, right


def pair_distances(text: ArrayLike, motion: ArrayLike) -> Floats:
    """Return the Euclidean distance of each text to its own motion, [n]."""
    left, right = paired(text, motion)
    distances: Floats = np.linalg.norm(left - right, axis=1)
    return distances


def multimodal_distance(text: ArrayLike, motion: ArrayLike) -> float:
    """Return the mean distance of text and motion of a pair (MM-Dist, Guo et al. 2022)."""
    return float(pair_distances(text, motion).mean())


def match_ranks(text: ArrayLike, motion: ArrayLike) -> NDArray[np.int64]:
    """Return, for each text, how many motions of the block lie before its own one, [n].

    Equal distances rank in index order, as a stable sort would: a collapsed generator whose motions all
    coincide scores exactly chance, neither 0 nor 1.
    """
    left, right = paired(text, motion)
    # cdist subtracts coordinate by coordinate, so equal motions give exactly equal distances.
    distances = cdist(left, right)
    own = np.diagonal(distances)[:, None]
    earlier = np.tri(len(left), k=-1, dtype=bool)
    ranks: NDArray[np.int64] = ((distances < own) | ((distances == own) & earlier)).sum(axis=1)
    return ranks


def r_precision(
    text: ArrayLike,
    motion: ArrayLike,
    *,
    batch: int = 32,
    top: int = 3,
    order: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    keep_last: bool = False,
) -> list[float]:
    """Return R@1 .. R@top: the share of texts whose own motion is among the k nearest of its block.

    text, motion: [n, E], row i of both belongs together (Guo et al. 2022).
    The rows are cut into blocks of `batch`: in the given order, in `order` [n], or shuffled with `rng`.
    A last, smaller block is easier and is dropped, unless keep_last or there is no full block at all.
    """
    left, right = paired(text, motion)
    n = left.shape[0]
    if order is not None and rng is not None:
        raise ValueError("r_precision takes order or rng, not both")
    rows = np.arange(n) if rng is None else rng.permutation(n)
    if order is not None:
        rows = np.asarray(order)
    end = n if keep_last or n < batch else n - n % batch
    blocks = [rows[start : min(start + batch, end)] for start in range(0, end, batch)]
    ranks = np.concatenate([match_ranks(left[block], right[block]) for block in blocks])
    return [float((ranks < k).mean()) for k in range(1, top + 1)]
