"""The switches of a GPU, and intervals of time."""

import os

import pytest

from hmu_tasks.runtime import acceleration, intervals
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.intervals import Every


def test_switches_and_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(acceleration.GRAPHS, raising=False)
    monkeypatch.delenv(acceleration.DETERMINISTIC, raising=False)
    assert acceleration.graphs()
    assert not acceleration.deterministic()
    monkeypatch.setenv(acceleration.GRAPHS, "off")
    monkeypatch.setenv(acceleration.DETERMINISTIC, "1")
    assert not acceleration.graphs()
    assert acceleration.deterministic()


@pytest.mark.parametrize("name", ["HMU_GRAPHS", "HMU_DETERMINISTIC"])
@pytest.mark.parametrize("given", ["", "yes", "on"])
def test_other_values_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, given: str) -> None:
    monkeypatch.setenv(name, given)
    with pytest.raises(ConfigError, match=f"{name} is '{given}'; it must be one of"):
        acceleration.graphs() and acceleration.deterministic()


def test_determinism_prepares_cublas_and_keeps_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setenv("HMU_DETERMINISTIC", "0")
    acceleration.prepare_determinism()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    monkeypatch.setenv("HMU_DETERMINISTIC", "1")
    acceleration.prepare_determinism()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    acceleration.prepare_determinism()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_intervals_start_anew_when_they_have_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(intervals.time, "monotonic", lambda: now[0])
    due = Every(20.0)
    answers = []
    for now[0] in (100.0, 119.0, 121.0, 140.0, 141.0):
        answers.append(due(0))
    assert answers == [False, False, True, False, True]
    assert Every(0.0)(1)
