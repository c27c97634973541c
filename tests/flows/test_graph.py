"""The plan that is read from DVC, without Prefect."""

from pathlib import Path

import pytest
from toy_project import STAGES, Project

from flows.engine.graph import Stage, changed_stages, critical_paths, read_stages, select
from flows.engine.lockfile import lock_order, restore_lock_order
from hmu_tasks.runtime.errors import HmuError

# DVC 3.67 asks its trie in a way that the trie announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")


def test_stages_come_behind_what_they_need(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root.parent)  # names must not depend on the working folder
    stages = read_stages(project.root)
    assert sorted(stage.name for stage in stages) == sorted(STAGES)
    done: set[str] = set()
    for stage in stages:
        assert done.issuperset(stage.needs)
        done.add(stage.name)
    by_name = {stage.name: stage for stage in stages}
    assert by_name["report"].needs == ("unlearn@a", "unlearn@b")
    assert by_name["train@a"].resource == "gpu"
    assert by_name["report"].resource == "cpu"
    assert [stage.name for stage in stages] == [stage.name for stage in read_stages(project.root)]


def test_targets_bring_what_they_need(project: Project) -> None:
    stages = read_stages(project.root)
    assert {stage.name for stage in select(stages, ["unlearn@a"])} == {"prepare", "train@a", "unlearn@a"}
    assert {stage.name for stage in select(stages, ["train"])} == {"prepare", "train@a", "train@b"}
    assert select(stages, None) == stages
    with pytest.raises(HmuError, match=r"no stage 'trian'; the stages are: .*train@a"):
        select(stages, ["trian"])


def test_what_comes_behind_a_change_is_looked_at(project: Project) -> None:
    stages = read_stages(project.root)
    assert changed_stages(project.root, stages) == set(STAGES)
    project.dvc("repro", "-q")
    assert changed_stages(project.root, stages) == set()
    (project.root / "out" / "train-a").write_text("damaged", encoding="utf-8")
    assert changed_stages(project.root, stages) == {"train@a", "unlearn@a", "report"}


def test_the_critical_path_counts_the_dependents(project: Project) -> None:
    stages = [
        Stage("a", (), seconds=10.0),
        Stage("b", ("a",), seconds=1.0),
        Stage("c", ("a",), seconds=20.0),
        Stage("d", ("b",), seconds=100.0),
        Stage("e", ("c", "d")),
    ]
    assert critical_paths(stages) == {"a": 116.0, "b": 106.0, "c": 25.0, "d": 105.0, "e": 5.0}
    assert critical_paths(stages[3:4]) == {"d": 100.0}  # what it needs is not part of this walk
    graph = project.root / "dvc.yaml"
    content = graph.read_text(encoding="utf-8")
    graph.write_text(content.replace("resource: gpu", "resource: gpu, seconds: 90"), encoding="utf-8")
    by_name = {stage.name: stage.seconds for stage in read_stages(project.root)}
    assert (by_name["train@a"], by_name["report"]) == (90.0, Stage.seconds)
    graph.write_text(content.replace("resource: gpu", "resource: gpu, seconds: long"), encoding="utf-8")
    with pytest.raises(HmuError, match=r"meta\.seconds is 'long'; give a number"):
        read_stages(project.root)


def test_lock_order_follows_the_graph_and_keeps_what_was_there(project: Project) -> None:
    stages = read_stages(project.root)
    planned = [stage.name for stage in stages]
    project.dvc("repro", "-q")
    content = (project.root / "dvc.lock").read_text(encoding="utf-8")
    restore_lock_order(project.root, ["report", "prepare"], stages)
    rest = [name for name in planned if name not in {"report", "prepare"}]
    assert lock_order(project.root) == ["report", "prepare", *rest]
    assert project.dvc("status", "--json").strip() == "{}"
    restore_lock_order(project.root, [], stages)
    assert lock_order(project.root) == planned
    assert sorted(content.splitlines()) == sorted((project.root / "dvc.lock").read_text().splitlines())


def test_a_broken_graph_is_said_clearly(project: Project) -> None:
    graph = project.root / "dvc.yaml"
    graph.write_text(graph.read_text().replace("resource: gpu", "resource: tpu"), encoding="utf-8")
    with pytest.raises(HmuError, match=r"meta\.resource is 'tpu'; use cpu or gpu"):
        read_stages(project.root)
    graph.write_text("stages: [", encoding="utf-8")
    with pytest.raises(HmuError, match="DVC cannot read the pipeline"):
        read_stages(Path(project.root))


def test_a_broken_lock_is_said_clearly(project: Project) -> None:
    stages = read_stages(project.root)
    (project.root / "dvc.lock").write_text("stages: [", encoding="utf-8")
    with pytest.raises(
        HmuError, match=r"cannot tell what is out of date in .*: unable to read: '.*dvc\.lock'"
    ):
        changed_stages(project.root, stages)


def test_data_of_dvc_files_is_an_input(project: Project) -> None:
    (project.root / "raw.txt").write_text("raw", encoding="utf-8")
    project.dvc("add", "-q", "raw.txt")
    graph = project.root / "dvc.yaml"
    graph.write_text(
        graph.read_text().replace("deps: [step.py]", "deps: [step.py, raw.txt]"), encoding="utf-8"
    )
    by_name = {stage.name: stage for stage in read_stages(project.root)}
    assert by_name["prepare"].data == ("raw.txt.dvc",)
    assert by_name["prepare"].needs == ()
    assert "raw.txt.dvc" not in by_name
