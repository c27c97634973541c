"""docs/reruns.md against DVC's own graph: what a change of a file or key may run again."""

import re

import pytest
from modules import ROOT
from test_drift import Stage, read_stages, within

PAGE = (ROOT / "docs" / "reruns.md").read_text(encoding="utf-8")
ROWS = [
    (change, set(re.findall(r"`([^`]+)`", stages)))
    for change, stages in re.findall(r"^\| `([^`]+)` \| (`.*) \|$", PAGE, flags=re.MULTILINE)
    if ", " not in stages
]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return read_stages()


def rerun(stages: dict[str, Stage], change: str) -> set[str]:
    """Stages that depend on a file or a key of params.yaml, directly or through other stages."""
    if "/" in change:
        assert (ROOT / change).is_file(), change
        names = {name for name, stage in stages.items() if stage.covers(ROOT / change)}
    else:
        names = {name for name, one in stages.items() if any(within(change, key) for key in one.params)}
    while behind := {name for name, one in stages.items() if names.intersection(one.needs)} - names:
        names |= behind
    return names


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
