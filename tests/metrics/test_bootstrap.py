"""The crossed cluster bootstrap: coverage, pairing, and agreement of influence values with brute force."""

import numpy as np
import pytest

from hmu_tasks.metrics.bootstrap import (
    influence_replicates,
    level_weights,
    limits,
    mean_replicates,
    pooled,
    split_weights,
    standard_error,
)
from hmu_tasks.metrics.distribution import (
    frechet_distance,
    frechet_influence,
    kernel_distance,
    kernel_influence,
)


def test_weights_depend_on_split_and_size_alone() -> None:
    one, same = (split_weights("forget", clusters=30, repeats=r, seed=1) for r in (3, 1))
    assert np.array_equal(one.clusters, same.clusters)  # more repeats keep the clips
    assert (one.clusters.sum(axis=1) == 30).all()
    assert one.repeats.sum(axis=1) == pytest.approx(3)
    assert (same.repeats == 1).all()
    for other in (
        split_weights("retain", clusters=30, repeats=3, seed=1),
        split_weights("forget", clusters=30, repeats=3, seed=2),
        split_weights("forget", clusters=30, repeats=3, seed=1, role="real"),
    ):
        assert not np.array_equal(one.clusters, other.clusters)


def test_few_levels_show_all_of_their_variance() -> None:
    values = np.array([1.0, 2.0, 6.0])
    means = (level_weights(3, draws=20_000) * values).mean(axis=1)
    assert means.var() == pytest.approx(values.var(ddof=1) / 3, rel=0.05)


def test_intervals_of_clips_with_twins_and_repeats_cover() -> None:
    rng = np.random.default_rng(0)
    clusters = np.arange(80) // 2
    covered = []
    for trial in range(300):
        effect = rng.standard_normal(40)[clusters]
        table = (effect + rng.standard_normal((3, 80)) > 0.5).astype(float)
        weights = split_weights("forget", clusters=40, repeats=3, seed=trial)
        low, high = limits(mean_replicates(table, clusters, weights)) or (0.0, 0.0)
        covered.append(low <= 0.36184 <= high)  # P(N(0, 2) > 0.5)
    assert 0.92 <= np.mean(covered) <= 0.99


def test_prompts_that_do_not_count_are_left_out() -> None:
    table = np.array([[1.0, np.nan, 3.0, np.nan], [np.nan, np.nan, np.nan, 5.0]])
    clusters = np.arange(4)
    weights = split_weights("forget", clusters=4, repeats=2, seed=0)
    found = mean_replicates(table, clusters, weights)
    naive = []
    for cluster, repeat in zip(weights.clusters, weights.repeats, strict=True):
        means, kept = [], []
        for row, weight in zip(table, repeat, strict=True):
            there = np.isfinite(row)
            if (cluster * there).sum() > 0:
                means.append(np.average(row[there], weights=cluster[there]))
                kept.append(weight)
        naive.append(np.average(means, weights=kept) if sum(kept) > 0 else np.nan)
    assert found == pytest.approx(naive, nan_ok=True)


def test_paired_differences_are_narrower_than_their_parts() -> None:
    rng = np.random.default_rng(1)
    clusters = np.arange(100)
    effect = rng.standard_normal(100)
    weights = split_weights("forget", clusters=100, repeats=1, seed=0)
    one, other = (
        mean_replicates((effect + 0.1 * rng.standard_normal(100))[None], clusters, weights) for _ in range(2)
    )
    assert standard_error(one - other) < 0.3 * standard_error(one)


def test_influence_on_fid_is_the_derivative_in_the_weights() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((60, 4)) * [1, 2, 0.5, 1] + 0.4, rng.standard_normal((50, 4))
    for place, side in enumerate(frechet_influence(x, y)):
        assert side.sum() == pytest.approx(0.0, abs=1e-9)
        for row in (0, 7):
            # Many copies of the set make one more copy of a row a small change of its weight.
            sets = [np.tile(x, (40, 1)), np.tile(y, (40, 1))]
            before = frechet_distance(*sets)
            sets[place] = np.concatenate([sets[place], (x, y)[place][[row]]])
            assert 40 * (frechet_distance(*sets) - before) == pytest.approx(side[row], rel=0.1, abs=2e-3)


def test_influence_on_kid_is_the_derivative_in_the_weights() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((20, 4)) + 0.4, rng.standard_normal((25, 4))

    def weighted(w: np.ndarray, v: np.ndarray) -> float:
        def mean(one: np.ndarray, other: np.ndarray, pairs: np.ndarray) -> float:
            return float(np.average((one @ other.T / 4 + 1) ** 3, weights=pairs))

        within = (mean(a, a, np.outer(u, u) * (1 - np.eye(len(u)))) for a, u in ((x, w), (y, v)))
        return sum(within) - 2 * mean(x, y, np.outer(w, v))

    ones = [np.ones(20), np.ones(25)]
    assert weighted(*ones) == pytest.approx(kernel_distance(x, y))
    for place, side in enumerate(kernel_influence(x, y)):
        moved = [one.copy() for one in ones]
        moved[place][3] += 1e-6
        assert (weighted(*moved) - weighted(*ones)) / 1e-6 == pytest.approx(side[3], rel=1e-3)


def test_the_spread_of_fid_is_that_of_new_samples() -> None:
    rng = np.random.default_rng(3)

    def sample() -> tuple[np.ndarray, np.ndarray]:
        return rng.standard_normal((200, 6)) * 1.3, rng.standard_normal((200, 6))

    true = np.std([frechet_distance(*sample()) for _ in range(200)])
    weights = split_weights("forget", clusters=200, repeats=1, seed=0)
    spreads = []
    for _ in range(20):
        x, y = sample()
        own, real = frechet_influence(x, y)
        value = [frechet_distance(x, y)]
        one = influence_replicates(value, own[None], np.arange(200), weights)
        other = influence_replicates(
            [0.0], real[None], np.arange(200), split_weights("real", clusters=200, repeats=1, seed=0)
        )
        spreads.append(standard_error(one + other))
    assert np.mean(spreads) == pytest.approx(true, rel=0.25)


def test_pools_hold_the_spread_between_their_levels() -> None:
    rng = np.random.default_rng(4)
    levels = [mean + 0.01 * rng.standard_normal(400) for mean in (0.2, 0.4, 0.6)]
    assert standard_error(pooled(levels)) == pytest.approx(0.2 / 3**0.5, rel=0.1)
    assert np.array_equal(pooled(levels[:1]), levels[0])
    nested = pooled([pooled(levels), pooled(levels)], key=(1,))
    assert standard_error(nested) == pytest.approx(standard_error(pooled(levels)))


def test_too_few_replicates_have_no_limits() -> None:
    assert limits([0.1, np.nan]) is None
    assert standard_error([0.1]) == 0.0
