"""Curves of a running training on Prefect's page."""

from pathlib import Path
from typing import Any

import pytest

from flows.engine import curves
from hmu_tasks.runtime import paths


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("train-base@momask-full", "base-momask-full"),
        ("train-tokenizer@retrain", "tokenizer-retrain"),
        ("train-text", "text"),
        ("evaluate@momask-lcr", None),
        ("report", None),
    ],
)
def test_the_file_of_a_stage_is_that_of_its_component(stage: str, name: str | None) -> None:
    found = curves.live_file(Path("root"), stage)
    assert found == (None if name is None else Path("root") / paths.LIVE / f"{name}.csv")


def test_newest_points_come_first_and_a_half_written_line_is_left(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    assert curves.latest_points(file) == []
    file.write_text("step,name,value\n10,loss,2\n10,accuracy,0.1\n20,loss,1\n30,lo", encoding="utf-8")
    assert curves.latest_points(file) == [
        {"step": "20", "loss": "1"},
        {"step": "10", "loss": "2", "accuracy": "0.1"},
    ]


def test_a_long_training_is_shown_and_not_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(
        curves, "create_table_artifact", lambda rows, **more: shown.append({"rows": rows, **more})
    )
    now = [0.0]
    monkeypatch.setattr("flows.engine.curves.time.monotonic", lambda: now[0])
    file = tmp_path / paths.LIVE / "text.csv"
    file.parent.mkdir(parents=True)
    file.write_text("step,name,value\n10,loss,2\n", encoding="utf-8")
    show = curves.TrainingCurves(tmp_path, "train-text")
    for now[0] in (5.0, 19.0):
        show()
    assert shown == []
    for now[0] in (21.0, 25.0, 40.0):
        show()
    assert [(one["key"], one["rows"]) for one in shown] == [
        ("curves-train-text", [{"step": "10", "loss": "2"}])
    ]
