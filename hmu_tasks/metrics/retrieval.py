"""Who finds whom in the evaluator's space: R-precision and MM-Dist of text and motion, NCS of motion and motion."""

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


def block_ranks(
    text: ArrayLike,
    motion: ArrayLike,
    *,
    batch: int = 32,
    order: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    keep_last: bool = False,
) -> NDArray[np.int64]:
    """Return how many motions of its block lie before each text's own one, [n]; -1 for texts of a dropped block.

    text, motion: [n, E], row i of both belongs together (Guo et al. 2022).
    The rows are cut into blocks of `batch`: in the given order, in `order` [n], or shuffled with `rng`.
    A last, smaller block is easier and is dropped, unless keep_last or there is no full block at all.
    """
    left, right = paired(text, motion)
    n = left.shape[0]
    if order is not None and rng is not None:
        raise ValueError("ranks within blocks take order or rng, not both")
    rows = np.arange(n) if rng is None else rng.permutation(n)
    if order is not None:
        rows = np.asarray(order)
    end = n if keep_last or n < batch else n - n % batch
    ranks = np.full(n, -1, dtype=np.int64)
    for start in range(0, end, batch):
        block = rows[start : min(start + batch, end)]
        ranks[block] = match_ranks(left[block], right[block])
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

    The blocks are those of `block_ranks`.
    """
    ranks = block_ranks(text, motion, batch=batch, order=order, rng=rng, keep_last=keep_last)
    kept = ranks[ranks >= 0]
    return [float((kept < k).mean()) for k in range(1, top + 1)]


def first_marked_ranks(
    queries: ArrayLike, gallery: ArrayLike, marked: ArrayLike, *, top: int = 100
) -> NDArray[np.int64]:
    """Return the rank of the first marked item among the gallery sorted by distance to each query, [n].

    queries: [n, E]; gallery: [m, E]; marked: [m], with at least one. 1 is the nearest. At equal distance the marked
    item comes first, so that the rank does not depend on the gallery's order. Ranks beyond `top` are given as top + 1:
    nothing marked was retrieved. NCS@k (arXiv 2503.18674) is the share of ranks up to k.
    """
    asked, items = np.asarray(queries, dtype=np.float64), np.asarray(gallery, dtype=np.float64)
    marks = np.asarray(marked, dtype=bool)
    if (
        asked.ndim != 2
        or items.ndim != 2
        or asked.shape[1] != items.shape[1]
        or marks.shape != items.shape[:1]
    ):
        raise ValueError(f"queries {asked.shape}, gallery {items.shape} and marks {marks.shape} do not fit")
    if not marks.any():
        raise ValueError("no item of the gallery is marked, so that none can be retrieved")
    if not (np.isfinite(asked).all() and np.isfinite(items).all()):
        raise ValueError("embeddings hold values that are not finite")
    first = cdist(asked, items[marks]).min(axis=1)
    before = (cdist(asked, items[~marks]) < first[:, None]).sum(axis=1)
    ranks: NDArray[np.int64] = np.minimum(before + 1, top + 1)
    return ranks
