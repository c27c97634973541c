"""R-precision and MM-Dist: published numbers, perfect matches, ties, blocks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmu_tasks.metrics.retrieval import match_ranks, multimodal_distance, r_precision


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
