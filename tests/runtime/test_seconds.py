"""Intervals: read from the environment, and passed or not."""

import pytest

from hmu_tasks.runtime import intervals
from hmu_tasks.runtime.errors import ConfigError


@pytest.mark.parametrize("given", ["soon", "-1", "nan", "inf", ""])
def test_an_interval_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HMU_CHECKPOINT_SECONDS", given)
    with pytest.raises(ConfigError, match=f"HMU_CHECKPOINT_SECONDS is '{given}'; set a number"):
        intervals.interval("HMU_CHECKPOINT_SECONDS", 20.0)


def test_the_variable_comes_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HMU_CHECKPOINT_SECONDS", raising=False)
    assert intervals.interval("HMU_CHECKPOINT_SECONDS", 20.0) == 20.0
    monkeypatch.setenv("HMU_CHECKPOINT_SECONDS", "0.5")
    assert intervals.interval("HMU_CHECKPOINT_SECONDS", 20.0) == 0.5


def test_an_interval_passes_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(intervals.time, "monotonic", lambda: now[0])
    passed = intervals.Every(10.0)
    seen = []
    for now[0] in (109.0, 110.0, 115.0, 121.0):
        seen.append(passed(0))
    assert seen == [False, True, False, True]
