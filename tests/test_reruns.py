"""docs/reruns.md against DVC's own graph: what a change of a file or key may run again."""

import re
from typing import Any

import pytest
from dvc_stages import Stage, rerun
from modules import ROOT

from hmu_tasks.config.params import flat

PAGE = (ROOT / "docs" / "reruns.md").read_text(encoding="utf-8")
ROWS = [
    (change, set(re.findall(r"`([^`]+)`", stages)))
    for change, stages in re.findall(r"^\| `([^`]+)` \| (`.*) \|$", PAGE, flags=re.MULTILINE)
    if ", " not in stages
]


def test_the_table_is_read() -> None:
    assert len(ROWS) >= 10


@pytest.mark.parametrize(("change", "told"), ROWS, ids=[change for change, _ in ROWS])
def test_a_change_reruns_what_the_table_says(stages: dict[str, Stage], change: str, told: set[str]) -> None:
    again = rerun(stages, change)
    whole = {name for name in told if "@" not in name}
    assert {name for name in again if name.partition("@")[0] not in whole} == told - whole
    assert {name.partition("@")[0] for name in again} >= whole


def test_the_tokenizers_code_leaves_the_evaluator_alone(stages: dict[str, Stage]) -> None:
    again = rerun(stages, "hmu_tasks/models/tokenizer/rvq.py")
    first = {"ingest", "filter", "validate", "train-evaluator"}
    assert {name for name in stages if name.partition("@")[0] not in first} == again


@pytest.mark.parametrize("folder", ["config", "runtime", "tracking"])
def test_what_is_no_dependency(stages: dict[str, Stage], folder: str) -> None:
    files = sorted((ROOT / "hmu_tasks" / folder).rglob("*.py"))
    assert [name for name, stage in stages.items() if any(stage.covers(file) for file in files)] == []


def test_a_knob_of_lcr_reruns_only_lcr(stages: dict[str, Stage], values: dict[str, Any]) -> None:
    for leaf in flat(values["unlearn"]["lcr"], "unlearn.lcr."):
        again = {name.partition("@")[0] for name in rerun(stages, leaf)}
        assert again == {"unlearn", "evaluate", "probe", "register", "report"}
        assert all("-lcr" in name or name == "report" for name in rerun(stages, leaf))


def test_a_knob_of_the_evaluation_trains_no_model(stages: dict[str, Stage]) -> None:
    again = {name.partition("@")[0] for name in rerun(stages, "evaluate.sampling.cfg")}
    measured = {"evaluate-real", "evaluate-reference", "evaluate"}
    assert again == {"train-classifier", *measured, "probe-reference", "probe", "register", "report"}
    cells = {name.partition("@")[2] for name in stages if name.startswith("register@")}
    selected = {name for name in stages if name.partition("@")[0] in ("evaluate", "probe", "register")}
    assert rerun(stages, "report.retain_loss_limit") == {*selected, "report"}
    assert rerun(stages, "register.slack") == {*(f"register@{cell}" for cell in cells), "report"}
    assert rerun(stages, "run.track") == {"report"}


def test_a_change_of_the_data_reaches_everything(stages: dict[str, Stage]) -> None:
    assert rerun(stages, "ingest.synthetic.clips") == set(stages)
