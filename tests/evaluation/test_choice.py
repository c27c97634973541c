"""Selection of the strength from metrics of the validation split and the two references on disk."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hmu_tasks.evaluation.choice import Selected, choose
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import write_json

EDITS = {f"strength{strength:03d}-s0": {"strength": strength, "seed": 0} for strength in (8, 16, 32)}


def chosen(metric: str, start: float, end: float, reached: tuple[float, ...]) -> Selected:
    for method, value in (("original", start), ("retrain", end)):
        rows = [
            {"split": "forget-val", "metric": metric, "mean": value},
            {"split": "retain-val", "metric": "r1", "mean": 0.8},
        ]
        write_json(paths.evaluation("momask", method) / "metrics.json", rows)
    measured: dict[str, Any] = {
        name: {
            "forget-val": SimpleNamespace(values={metric: [value]}),
            "retain-val": SimpleNamespace(values={"r1": [0.79]}),
        }
        for name, value in zip(EDITS, reached, strict=True)
    }
    found = choose("momask", EDITS, measured, limit=0.03)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_largest_closure_wins() -> None:
    found = chosen("violence_corrected", 0.6, 0.1, (0.5, 0.2, 0.3))
    assert (found.metric, found.choice.strength) == ("violence_corrected", 16)
    assert found.choice.closure == pytest.approx(0.8)
    assert chosen("fid", 1.0, 3.0, (1.5, 2.0, 2.8)).choice.strength == 32


@pytest.mark.parametrize(
    ("metric", "start", "end", "reached"),
    [
        ("violence_corrected", 0.2, 0.3, (0.2, 0.9, 0.1)),  # closing this gap would bring the concept forth
        ("violence_corrected", 0.2, 0.2, (0.2, 0.1, 0.3)),
        ("fid", 3.0, 2.0, (1.0, 2.0, 3.0)),  # and this one would move motions towards the real violent ones
    ],
)
def test_a_d_r_on_the_wrong_side_closes_no_gap(
    metric: str, start: float, end: float, reached: tuple[float, ...]
) -> None:
    found = chosen(metric, start, end, reached)
    assert (found.metric, found.choice.strength, found.choice.closure) == ("strength", 32, None)
    assert "D_r's" in found.choice.reason
