"""R-precision and MM-Dist: published numbers, perfect matches, ties, blocks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmu_tasks.metrics.retrieval import (
    block_ranks,
    first_marked_ranks,
    match_ranks,
    multimodal_distance,
    r_precision,
)


def normal(seed: int, n: int, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, width))


@pytest.mark.parity
def test_equal_to_official(shared: Path) -> None:
    golden = np.load(shared / "golden/f_metrics.npz")
    text, motion = golden["emb_text"], golden["emb_motion"]
    assert r_precision(text, motion) == golden["r_precision_32"].tolist()
    assert r_precision(text, motion, batch=160) == golden["r_precision_full"].tolist()
    last = r_precision(text[128:145], motion[128:145])
    assert [round(share * 17) for share in last] == golden["r_precision_last_partial"].tolist()
    assert multimodal_distance(text, motion) == pytest.approx(float(golden["matching_norm"]), rel=1e-6)


@pytest.mark.parity
def test_unlearning_evaluation_equals_official(shared: Path) -> None:
    golden = np.load(shared / "golden/f_hmu_eval.npz")
    text, made = (np.concatenate([golden[f"{name}{i}"] for i in range(3)]) for name in ("et", "ep"))
    expected = [float(golden[f"result_R_precision_{k}"]) for k in (1, 2, 3)]
    assert r_precision(text, made, keep_last=True) == pytest.approx(expected, abs=1e-12)
    assert multimodal_distance(text, made) == pytest.approx(float(golden["result_MM-Dist"]), rel=1e-6)


def test_perfect_match_is_always_first() -> None:
    x = normal(1, 100)
    assert r_precision(x, x) == [1.0, 1.0, 1.0]
    assert multimodal_distance(x, x) == 0.0


def test_collapsed_motions_score_chance() -> None:
    found = r_precision(normal(2, 64), np.zeros((64, 16)))
    assert found == [1 / 32, 2 / 32, 3 / 32]


def test_last_partial_block_is_dropped_unless_asked_for() -> None:
    text, motion = normal(3, 40), normal(4, 40)
    motion[32:] = text[32:]
    assert r_precision(text, motion) == r_precision(text[:32], motion[:32])
    assert r_precision(text, motion, keep_last=True)[0] >= 8 / 40
    assert len(r_precision(text[:5], motion[:5])) == 3


@given(st.integers(0, 1000), st.integers(2, 20))
@settings(max_examples=30, deadline=None)
def test_within_a_block_the_order_does_not_matter(seed: int, n: int) -> None:
    text, motion = normal(seed, n), normal(seed + 1, n)
    rows = np.random.default_rng(seed).permutation(n)
    assert r_precision(text, motion, batch=n, order=rows) == r_precision(text, motion, batch=n)
    naive = np.linalg.norm(text[:, None] - motion[None], axis=2).argsort(axis=1, kind="stable")
    assert match_ranks(text, motion).tolist() == [row.tolist().index(i) for i, row in enumerate(naive)]


def test_shuffling_is_seeded() -> None:
    text, motion = normal(5, 96), normal(5, 96) + 0.8 * normal(6, 96)
    found = [r_precision(text, motion, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    with pytest.raises(ValueError, match="not both"):
        r_precision(text, motion, order=np.arange(96), rng=np.random.default_rng(0))


def test_unpaired_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must both be"):
        multimodal_distance(normal(1, 4), normal(1, 5))


def test_block_ranks_mark_what_is_dropped() -> None:
    text, motion = normal(3, 40), normal(4, 40)
    ranks = block_ranks(text, motion, rng=np.random.default_rng(1))
    assert (ranks == -1).sum() == 8
    kept = ranks[ranks >= 0]
    assert [(kept < k).mean() for k in (1, 2, 3)] == r_precision(text, motion, rng=np.random.default_rng(1))


def test_rank_of_the_first_marked_motion_by_hand() -> None:
    gallery = np.array([[0.0], [1.0], [2.0], [10.0]])
    marked = [False, False, True, True]
    found = first_marked_ranks([[0.0], [1.9], [9.0], [6.0]], gallery, marked)
    # From 0 the order is 0, 1, 2*; from 1.9 and from 9 a marked one is nearest, at 6 both marked ones tie.
    assert found.tolist() == [3, 1, 1, 1]
    assert first_marked_ranks([[0.0]], gallery, marked, top=2).tolist() == [3]
    assert first_marked_ranks([[0.0]], gallery, marked, top=3).tolist() == [3]
    assert first_marked_ranks([[1.5]], gallery, marked).tolist() == [
        1
    ]  # at equal distance the marked one is first


@given(st.integers(0, 1000), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_first_marked_rank_equals_sorting(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = normal(seed, n), normal(seed + 1, 20)
    marked = rng.random(20) < 0.2
    marked[3] = True
    order = np.linalg.norm(queries[:, None] - gallery[None], axis=2).argsort(axis=1)
    naive = [1 + int(np.flatnonzero(marked[row])[0]) for row in order]
    assert first_marked_ranks(queries, gallery, marked).tolist() == naive
    assert first_marked_ranks(queries, gallery, marked, top=2).tolist() == [min(rank, 3) for rank in naive]
    shuffled = rng.permutation(20)
    assert first_marked_ranks(queries, gallery[shuffled], marked[shuffled]).tolist() == naive


def test_a_gallery_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no item of the gallery"):
        first_marked_ranks(normal(1, 2), normal(2, 3), [False] * 3)
    with pytest.raises(ValueError, match="do not fit"):
        first_marked_ranks(normal(1, 2), normal(2, 3), [True] * 2)
    with pytest.raises(ValueError, match="not finite"):
        first_marked_ranks(np.full((1, 16), np.nan), normal(2, 3), [True] * 3)
