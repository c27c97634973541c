"""A committed dvc.lock on a machine that computes other bytes: what it has made before is found, nothing runs twice."""

from pathlib import Path

import pytest
from toy_project import STAGES, Project

from flows.cluster.workspace import restore, worktree
from flows.engine.lockfile import drop_unavailable, read_entries

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")


@pytest.fixture
def other(project: Project, tmp_path: Path) -> Project:
    """A second machine: a clone of what the first one ran and committed, with a cache and an arithmetic of its own."""
    project.dvc("repro", "-q")
    project.git("add", "dvc.lock")
    project.git("commit", "-q", "-m", "ran on the first machine")
    project.forget_log()
    cloned = project.clone(tmp_path / "other")
    return Project(cloned.root, cloned.environment | {"TOY_MACHINE": "b"})


def repro(project: Project) -> str:
    process = project.start("flows.repro", "--jobs", "1")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def test_the_first_run_makes_everything_and_its_own_results_come_back(
    other: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "dvc.lock records outputs of 6 stages that this machine does not have" in repro(other)
    assert sorted(other.executed()) == sorted(name.replace("@", "-") for name in STAGES)
    assert "(1b)" in (other.root / "out" / "train-a").read_text(encoding="utf-8")
    assert other.git("status", "--porcelain") == "M dvc.lock"

    # As each night: a fresh worktree of origin/main on a machine that ran it before.
    other.forget_log()
    monkeypatch.setenv("TOY_SIDE", str(other.side))
    with worktree(other.root, "HEAD", key="night", scratch="s") as place:
        restore(place.root)
        night = Project(place.root, other.environment)
        night.dvc("repro", "-q")
        assert "(1b)" in (place.root / "out" / "report").read_text(encoding="utf-8")
    assert other.executed() == []

    # With the committed lock.
    other.git("checkout", "--", "dvc.lock")
    repro(other)
    assert other.executed() == []
    assert "(1b)" in (other.root / "out" / "train-a").read_text(encoding="utf-8")
    assert "up to date" in other.dvc("status")


def test_what_is_at_hand_stays_in_the_lock(project: Project, other: Project) -> None:
    """In the workspace, in the cache, or both."""
    before = read_entries(project.root)
    assert drop_unavailable(project.root) == []
    project.command("rm", "-rf", "out", "reports")
    assert drop_unavailable(project.root) == []
    project.dvc("checkout", "-q")
    project.command("rm", "-rf", ".dvc/cache")
    assert drop_unavailable(project.root) == []
    project.command("rm", "-rf", "out/train-a")
    assert drop_unavailable(project.root) == ["train@a"]
    assert set(read_entries(project.root)) == set(before) - {"train@a"}


def test_a_project_that_never_ran(project: Project) -> None:
    assert drop_unavailable(project.root) == []
