"""FID, KID, Diversity and MultiModality: published numbers, known Gaussians, invariances."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmu_tasks.metrics.distribution import (
    diversity,
    frechet_distance,
    kernel_distance,
    multimodality,
    pair_distance,
    rank_deficient,
)


def normal(seed: int, n: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, width))


@pytest.mark.parity
def test_fid_equals_official(shared: Path) -> None:
    golden = np.load(shared / "golden/f_metrics.npz")
    found = frechet_distance(golden["emb_text"], golden["emb_motion"])
    assert found == pytest.approx(float(golden["fid_64"]), rel=1e-8)
    assert found == pytest.approx(float(golden["fid_64_exact"]), rel=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("seeds", "n", "name", "rel"),
    [((621, 622), 1200, "n1200_exact", 1e-12), ((623, 624), 100, "n100_exact", 1e-7)],
)
def test_fid_at_full_width_equals_eigendecomposition(
    shared: Path, seeds: tuple[int, int], n: int, name: str, rel: float
) -> None:
    golden = np.load(shared / "golden/f_metrics.npz")
    x = normal(seeds[0], n, 512).astype(np.float32)
    y = 1.2 * normal(seeds[1], n, 512).astype(np.float32) + 0.1
    assert frechet_distance(x, y) == pytest.approx(float(golden[f"fid_512_{name}"]), rel=rel)


@pytest.mark.parity
def test_spread_equals_official(shared: Path) -> None:
    golden = np.load(shared / "golden/f_metrics.npz")
    found = pair_distance(golden["emb_motion"], golden["div_first"], golden["div_second"])
    assert found == pytest.approx(float(golden["diversity_100_seed123"]), rel=1e-6)
    found = pair_distance(golden["mm_emb"], golden["mm_first"], golden["mm_second"])
    assert found == pytest.approx(float(golden["multimodality_10_seed321"]), rel=1e-6)


@pytest.mark.parity
def test_unlearning_evaluation_fid_equals_official(shared: Path) -> None:
    golden = np.load(shared / "golden/f_hmu_eval.npz")
    real, made = (np.concatenate([golden[f"{name}{i}"] for i in range(3)]) for name in ("em", "ep"))
    assert frechet_distance(made, real) == pytest.approx(float(golden["result_fid"]), rel=1e-6)


def test_identical_sets_are_at_distance_zero() -> None:
    for n in (10, 300):
        x = normal(1, n, 32)
        assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)
        assert frechet_distance(x, x[::-1]) == pytest.approx(0.0, abs=1e-9)


def test_fid_of_known_gaussians() -> None:
    # |m|^2 + sum (s_i - t_i)^2 for diagonal covariances: whiten a sample so that its moments are exact.
    x = normal(2, 500, 4)
    x -= x.mean(axis=0)
    x = np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), x.T).T
    left, right = np.array([1.0, 2.0, 0.5, 3.0]), np.array([2.0, 2.0, 1.5, 1.0])
    shift = np.array([1.0, -2.0, 0.0, 0.5])
    expected = (shift**2).sum() + ((left - right) ** 2).sum()
    assert frechet_distance(x * left, x[::-1] * right + shift) == pytest.approx(expected, rel=1e-10)


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 8), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_fid_is_symmetric_not_negative_and_blind_to_order(n: int, m: int, width: int, seed: int) -> None:
    x, y = normal(seed, n, width), normal(seed + 1, m, width) * 2 + 1
    found = frechet_distance(x, y)
    assert found >= 0.0
    assert frechet_distance(y, x) == pytest.approx(found, rel=1e-8, abs=1e-9)
    assert frechet_distance(np.random.default_rng(seed).permutation(x), y) == pytest.approx(found, rel=1e-8)
    turn = np.linalg.qr(normal(seed + 2, width, width))[0]
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(found, rel=1e-8, abs=1e-9)


def test_rank_deficiency_is_told() -> None:
    assert rank_deficient(512, 512)
    assert not rank_deficient(513, 512)


def test_kid_is_unbiased_and_grows_with_the_shift() -> None:
    same = [kernel_distance(normal(2 * i, 40, 8), normal(2 * i + 1, 40, 8)) for i in range(60)]
    assert min(same) < 0.0 < max(same)
    assert abs(np.mean(same)) < 3 * np.std(same) / 60**0.5
    far = [kernel_distance(normal(1, 200, 8), normal(2, 200, 8) + shift) for shift in (0.0, 0.5, 1.0)]
    assert far[0] < far[1] < far[2]


def test_kid_equals_the_plain_sum() -> None:
    x, y = normal(3, 7, 5), normal(4, 6, 5) + 0.3

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 5 + 1) ** 3)

    within_x = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(within_x + within_y - 2 * between)


def test_kid_subsets_are_seeded() -> None:
    x, y = normal(5, 100, 6), normal(6, 90, 6) + 1
    found = [
        kernel_distance(x, y, subsets=20, subset_size=50, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]
    assert found[0] == pytest.approx(kernel_distance(x, y), rel=0.3)
    with pytest.raises(ValueError, match="needs rng"):
        kernel_distance(x, y, subsets=3)


def test_diversity_draws_come_near_the_mean_of_all_pairs() -> None:
    x = normal(7, 200, 8)
    exact = diversity(x, pairs=None)
    assert diversity(x, pairs=300, rng=np.random.default_rng(0)) == pytest.approx(exact, rel=0.1)
    assert diversity(np.ones((5, 3)), rng=np.random.default_rng(0)) == 0.0


def test_multimodality_of_equal_samples_is_zero() -> None:
    x = np.repeat(normal(8, 4, 6)[:, None], 10, axis=1)
    assert multimodality(x, rng=np.random.default_rng(0)).tolist() == [0.0] * 4
    with pytest.raises(ValueError, match="as many samples"):
        multimodality(x[:, :5], pairs=6, rng=np.random.default_rng(0))


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(np.full((3, 2), np.nan), np.ones((3, 2)))
    with pytest.raises(ValueError, match="widths differ"):
        kernel_distance(np.ones((3, 2)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="n >= 2"):
        frechet_distance(np.ones((1, 2)), np.ones((3, 2)))
