"""Intervals: published form, coverage, edge cases."""

import numpy as np
import pytest

from hmu_tasks.metrics.stats import (
    bootstrap_interval,
    cluster_interval,
    cluster_means,
    repeat_interval,
    wilson_interval,
)


def test_published_interval() -> None:
    values = np.random.default_rng(0).normal(5, 1, 20)
    found = repeat_interval(values, n=304, kind="normal")
    half = 1.96 * np.std(values) / np.sqrt(20)
    assert found.low == pytest.approx(values.mean() - half, abs=1e-4)
    assert found.high == pytest.approx(values.mean() + half, abs=1e-4)
    assert (found.n, found.repeats) == (304, 20)


def test_student_interval_is_wider_and_covers() -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(400):
        values = rng.normal(0, 1, 3)
        narrow, wide = repeat_interval(values, kind="normal"), repeat_interval(values)
        assert wide.high > narrow.high
        hits += wide.low <= 0.0 <= wide.high
    assert 0.92 <= hits / 400 <= 0.98


def test_one_repeat() -> None:
    found = repeat_interval([2.0])
    assert (found.mean, found.low, found.high, found.repeats) == (2.0, 2.0, 2.0, 1)


def test_wilson() -> None:
    found = wilson_interval(0, 10)
    assert found.low == 0.0
    assert found.high == pytest.approx(0.2775, abs=1e-3)
    assert wilson_interval(10, 10).high == 1.0
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson_interval(3, 2)


def test_bootstrap_is_seeded_and_near_the_t_interval() -> None:
    values = np.random.default_rng(2).normal(3, 1, 200)
    found = bootstrap_interval(values, rng=np.random.default_rng(0))
    assert found == bootstrap_interval(values, rng=np.random.default_rng(0))
    exact = repeat_interval(values)
    assert found.low == pytest.approx(exact.low, abs=0.03)
    assert found.high == pytest.approx(exact.high, abs=0.03)


def test_clusters_of_one_are_the_ordinary_bootstrap() -> None:
    values = np.random.default_rng(3).normal(3, 1, 200)
    alone = cluster_interval(values, np.arange(200), rng=np.random.default_rng(0))
    plain = bootstrap_interval(values, rng=np.random.default_rng(1))
    assert alone == cluster_interval(values, np.arange(200), rng=np.random.default_rng(0))
    assert (alone.mean, alone.n) == (pytest.approx(values.mean()), 200)
    assert alone.low == pytest.approx(plain.low, abs=0.03)
    assert alone.high == pytest.approx(plain.high, abs=0.03)


def test_twins_count_once() -> None:
    values = np.random.default_rng(4).normal(0, 1, 100)
    single = cluster_interval(values, np.arange(100), rng=np.random.default_rng(0))
    twice = cluster_interval(np.tile(values, 2), np.tile(np.arange(100), 2), rng=np.random.default_rng(0))
    assert (twice.low, twice.high) == pytest.approx((single.low, single.high))
    naive = cluster_interval(np.tile(values, 2), np.arange(200), rng=np.random.default_rng(0))
    assert naive.high - naive.low < 0.85 * (twice.high - twice.low)


def test_missing_values_and_samples_without_any_are_left_out() -> None:
    values = [1.0, np.nan, 3.0, np.nan]
    found = cluster_interval(values, [0, 1, 2, 3], rng=np.random.default_rng(0))
    assert (found.mean, found.n, found.low, found.high) == (2.0, 2, 1.0, 3.0)
    means = cluster_means(values, [0, 1, 2, 3], rng=np.random.default_rng(0), resamples=500)
    assert 400 < len(means) < 500  # one in sixteen samples holds no value
    one = cluster_interval([1.0, 2.0], [7, 7], rng=np.random.default_rng(0))
    assert (one.low, one.mean, one.high) == (1.5, 1.5, 1.5)


def test_bad_values() -> None:
    with pytest.raises(ValueError, match="no values"):
        repeat_interval([])
    with pytest.raises(ValueError, match="finite"):
        repeat_interval([np.nan])
    with pytest.raises(ValueError, match="2 values in 1 cluster"):
        cluster_means([1.0, 2.0], [0], rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="no values"):
        cluster_interval([np.nan], [0], rng=np.random.default_rng(0))
