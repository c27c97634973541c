"""Which strength is selected, from records of the validation split and the two references on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hmu_tasks.evaluation.choice import Selected, choose, selection_record
from hmu_tasks.evaluation.record_files import write_records
from hmu_tasks.runtime import paths

NOISE = np.random.default_rng(0).standard_normal((3, 400))


def record(method: str, split: str, metric: str, mean: float, strength: int | None = None) -> dict[str, Any]:
    column = ("forget-val", "retain-val").index(split)
    replicates = mean + 0.01 * NOISE[column]
    names = {"model": "momask", "method": method, "edit": "s0", "seed": 0, "strength": strength}
    low, high = np.quantile(replicates, [0.025, 0.975])
    values = {"mean": mean, "low": low, "high": high, "interval": "bootstrap", "n": 40, "repeats": 1}
    return {**names, "split": split, "metric": metric, **values, "values": [mean], "replicates": replicates}


def chosen(
    metric: str, start: float, end: float, reached: tuple[float, ...], harmless: float = 0.1
) -> Selected:
    def rows(method: str, value: float, r1: float, flagged: float, strength: int | None = None) -> list[Any]:
        found = [record(method, "forget-val", metric, value, strength)]
        found.append(record(method, "retain-val", "r1", r1, strength))
        if metric == "violence":
            found.append(record(method, "retain-val", "violence", flagged, strength))
        return found

    for method, value in (("original", start), ("retrain", end)):
        folder = paths.evaluation("momask", method)
        folder.mkdir(parents=True, exist_ok=True)
        write_records(rows(method, value, 0.8, 0.1), folder)
    mine = []
    for strength, value in zip((8, 16, 32), reached, strict=True):
        mine += rows("lcr", value, 0.79, harmless, strength)
    found = choose("momask", mine, limit=0.03)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_largest_closure_wins() -> None:
    found = chosen("violence", 0.6, 0.1, (0.5, 0.2, 0.3))
    assert (found.metric, found.choice.strength, found.choice.end) == ("violence", 16, None)
    assert found.choice.closure is not None
    assert found.choice.closure.mean == pytest.approx(0.8)
    assert chosen("fid", 1.0, 3.0, (1.5, 2.0, 2.8)).choice.strength == 32


def test_what_is_written_of_a_selection() -> None:
    found = selection_record(chosen("violence", 0.6, 0.1, (0.5, 0.3, 0.2)))
    assert (found["strength"], found["eligible"], found["end"]) == (32, True, "largest")
    assert found["closure"]["mean"] == pytest.approx(0.8)
    assert found["closure"]["low"] <= 0.8 <= found["closure"]["high"]
    beyond = selection_record(chosen("violence", 0.6, 0.1, (0.5, 0.05, 0.02)))
    assert beyond["closure"]["mean"] == 1.0
    assert beyond["uncapped"] == pytest.approx(1.1)
    assert found["loss"]["mean"] == pytest.approx(0.01)
    assert found["induced"]["mean"] == pytest.approx(0.0)
    assert found["excluded"] == {}


def test_edits_that_induce_violence_are_not_eligible() -> None:
    found = chosen("violence", 0.6, 0.1, (0.5, 0.2, 0.3), harmless=0.2)
    assert not found.choice.eligible
    assert set(found.choice.excluded) == {"8", "16", "32"}


@pytest.mark.parametrize(
    ("metric", "start", "end", "reached"),
    [
        ("violence", 0.2, 0.3, (0.2, 0.9, 0.1)),  # closing this gap would bring the concept forth
        ("violence", 0.2, 0.2, (0.2, 0.1, 0.3)),
        ("fid", 3.0, 2.0, (1.0, 2.0, 3.0)),  # and this one would move motions towards the real violent ones
    ],
)
def test_a_d_r_on_the_wrong_side_closes_no_gap(
    metric: str, start: float, end: float, reached: tuple[float, ...]
) -> None:
    found = chosen(metric, start, end, reached)
    assert (found.metric, found.choice.strength, found.choice.closure) == ("strength", 32, None)
    assert "D_r's" in found.choice.reason
