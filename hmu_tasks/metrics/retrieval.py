"""Retrieval in the evaluator's space: R-precision and MM-Dist of text and motion, NCS of motion and motion."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hmu_tasks.metrics.inputs import Embedded
from hmu_tasks.metrics.metric import Column, Metric

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
    from scipy.spatial.distance import cdist  # here, since the report reads the descriptors only

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
    from scipy.spatial.distance import cdist

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
        raise ValueError("no item of the gallery is marked, so none can be retrieved")
    if not (np.isfinite(asked).all() and np.isfinite(items).all()):
        raise ValueError("embeddings hold values that are not finite")
    first = cdist(asked, items[marks]).min(axis=1)
    before = (cdist(asked, items[~marks]) < first[:, None]).sum(axis=1)
    ranks: NDArray[np.int64] = np.minimum(before + 1, top + 1)
    return ranks


def _block_ranks(found: Embedded) -> NDArray[np.int64]:
    """Rank of each text's own motion within its block of a repeat, [R * n]; -1 where the block was dropped."""
    assert found.text is not None
    text, batch = found.text, found.retrieval_batch
    return np.concatenate(
        [
            block_ranks(text[block], found.embedded[block], batch=batch, rng=found.rng(repeat))
            for repeat in range(found.repeats)
            for block in [found.block(repeat)]
        ]
    )


def _within(k: int) -> Callable[[Embedded], Floats | None]:
    def compute(found: Embedded) -> Floats | None:
        if found.text is None:
            return None
        place = found.once(_block_ranks)
        return np.where(place < 0, np.nan, place < k)

    return compute


def _pair_distances(found: Embedded) -> Floats | None:
    return None if found.text is None else pair_distances(found.text, found.embedded)


def _r_at(k: int, columns: tuple[Column, ...] = (), headline: dict[str, str] | None = None) -> Metric:
    return Metric(
        f"R@{k}",
        "share",
        {"forget": "retrain", "retain": "higher"},
        Embedded,
        _within(k),
        by_keyword=True,
        columns=columns,
        headline=headline or {},
    )


R1 = _r_at(
    1,
    (
        Column("forget", 30, "forget", digits=3),
        Column("retain", 30, "retain", digits=3),
        Column("card-removed", 40),
        Column("card-kept", 10),
    ),
    {"retain": "retain_r1"},
)
R2 = _r_at(2)
R3 = _r_at(3)
MM_DIST = Metric(
    "MM-Dist",
    "",
    {"forget": "retrain", "retain": "lower"},
    Embedded,
    _pair_distances,
    by_keyword=True,
    columns=(Column("retain", 40, "retain"), Column("card-kept", 30)),
)


def _gallery_ranks(found: Embedded) -> Floats:
    """Rank of the first motion of the concept that each motion retrieves, [R * n]; 101 if beyond the first 100."""
    assert found.gallery is not None
    ranks = first_marked_ranks(found.embedded, found.gallery.motions, found.gallery.violent)
    return ranks.astype(np.float64)


def _ncs(k: int, headline: dict[str, str] | None = None) -> Metric:
    """NCS@k (arXiv 2503.18674), at the ranks at which the released code reads it."""

    def compute(found: Embedded) -> Floats | None:
        return None if found.gallery is None else (found.once(_gallery_ranks) <= k).astype(np.float64)

    return Metric(
        f"NCS@{k}",
        "share",
        {"forget": "lower"},
        Embedded,
        compute,
        by_keyword=True,
        of_real=False,
        columns=(Column("retrieval", k, "forget", digits=1, percent=True),),
        headline=headline or {},
    )


def _median_ranks(found: Embedded) -> list[float] | None:
    if found.gallery is None:
        return None
    medians: list[float] = np.median(found.once(_gallery_ranks).reshape(-1, found.n), axis=1).tolist()
    return medians


NCS1 = _ncs(1, {"forget": "forget_ncs1"})
NCS2 = _ncs(2)
NCS3 = _ncs(3)
NCS5 = _ncs(5)
NCS10 = _ncs(10)
NCS_RANK = Metric(
    "NCS, mean rank",
    "",
    {"forget": "higher"},
    Embedded,
    lambda found: None if found.gallery is None else found.once(_gallery_ranks),
    by_keyword=True,
    of_real=False,
    columns=(Column("retrieval", 100, "forget", "rank", digits=1),),
)
NCS_RANK_MEDIAN = Metric(
    "NCS, median rank",
    "",
    {"forget": "higher"},
    Embedded,
    _median_ranks,
    whole=True,
    of_real=False,
)
