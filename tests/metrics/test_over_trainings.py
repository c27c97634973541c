"""Values over trainings: coverage where trainings differ, pairing of methods, and what a single training keeps."""

import numpy as np
import pytest

from hmu_tasks.metrics.comparisons import Quantity, difference
from hmu_tasks.metrics.trainings import over_trainings, spread

DRAWS = 400


def simulated(rng, *, trainings, between, within, mean=0.5, shift=None):
    """Estimates of several trainings: each has its own true value, and the noise of the same prompts."""
    noise = rng.standard_normal(DRAWS)  # replicates of the prompts, shared
    miss = rng.standard_normal()  # by how much these prompts miss the truth, shared
    found = []
    for place in range(trainings):
        own = between * (rng.standard_normal() if shift is None else shift[place])
        value = mean + own + within * miss
        found.append(Quantity.of(value, value + within * noise))
    return found


@pytest.mark.parametrize(("between", "within"), [(0.05, 0.02), (0.02, 0.05)])
def test_the_interval_covers_trainings_and_prompts(between, within):
    rng = np.random.default_rng(3)
    runs = 400
    hits = 0
    for _ in range(runs):
        found = over_trainings(simulated(rng, trainings=5, between=between, within=within))
        hits += found.low <= 0.5 <= found.high
    assert 0.92 <= hits / runs <= 1.0


def test_intervals_of_single_trainings_cover_far_less():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(400):
        (found,) = simulated(rng, trainings=1, between=0.05, within=0.02)
        hits += found.low <= 0.5 <= found.high
    assert hits / 400 < 0.6


def test_methods_of_the_same_trainings_are_paired():
    rng = np.random.default_rng(5)
    shift = rng.standard_normal(5)  # trainings differ a lot, both methods alike
    one = over_trainings(simulated(rng, trainings=5, between=0.1, within=1e-3, mean=0.50, shift=shift))
    other = over_trainings(simulated(rng, trainings=5, between=0.1, within=1e-3, mean=0.53, shift=shift))
    assert one.low < 0.53 < one.high
    gap = difference(other, one)
    paired = spread(gap.mean, gap.replicates, trainings=5)
    assert paired.clear
    assert paired.high - paired.low < 0.02


def test_one_training_keeps_its_own_interval():
    (one,) = simulated(np.random.default_rng(1), trainings=1, between=0.0, within=0.02)
    assert over_trainings([one]) is one


def test_limits_are_unknown_where_a_training_has_no_replicates():
    one = simulated(np.random.default_rng(1), trainings=2, between=0.1, within=0.02)
    found = over_trainings([one[0], Quantity.of(0.7, None)])
    assert found.low is None
    assert found.mean == pytest.approx((one[0].mean + 0.7) / 2)
