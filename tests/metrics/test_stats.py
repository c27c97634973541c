"""Score intervals of shares and of their differences."""

import pytest

from hmu_tasks.metrics.stats import Interval, difference_of_shares, wilson_interval


def test_wilson_at_the_edges() -> None:
    found = wilson_interval(0, 10)
    assert (found.mean, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.2775, abs=1e-3)
    assert wilson_interval(10, 10).high == 1.0
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson_interval(3, 2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson_interval(1, 2, level=1.0)


def test_the_difference_of_two_sure_shares_is_not_sure() -> None:
    none = wilson_interval(0, 50)
    found = difference_of_shares(none, none)
    assert (found.mean, found.low, found.high) == (0.0, -none.high, none.high)
    # Newcombe 1998, table II, example (a): 56/70 and 48/80, method 10.
    found = difference_of_shares(wilson_interval(56, 70), wilson_interval(48, 80))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference_of_shares(Interval(1, 1, 1, 3), Interval(0, 0, 0, 5)).n == 3
