"""A run's own worktree, its parameters and what it leaves behind, without Prefect."""

import os
from pathlib import Path

import pytest
from toy_project import Project

from flows.cluster.ending import push_reference, save_branch, save_experiment
from flows.cluster.entries import merge_entries
from flows.cluster.overlay import set_params
from flows.cluster.workspace import find_commit, is_dirty, restore, worktree
from flows.engine.lockfile import lock_order, read_entries
from hmu_tasks.runtime.errors import HmuError

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")


def test_a_worktree_shares_the_cache_and_ends_as_an_experiment(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_SIDE", str(project.side))
    project.dvc("repro", "-q", "prepare")
    project.git("add", "dvc.lock")
    project.git("commit", "-q", "-m", "ran")
    mine = project.clone(tmp_path / "mine")
    mine.dvc("cache", "dir", "--local", str(project.root / ".dvc" / "cache"))
    (mine.root / "params.yaml").write_text(
        "broken: [", encoding="utf-8"
    )  # what is not committed does not count
    assert is_dirty(mine.root)
    assert not is_dirty(mine.root, "params.yaml")
    with worktree(mine.root, "HEAD", key="k", scratch="s") as place:
        inside = Project(place.root, project.environment)
        restore(place.root)
        assert (place.root / "out" / "prepare").exists()
        set_params(place.root, None, {"train.rate": 5})
        assert "Running stage 'prepare'" not in inside.dvc("repro", "prepare")
        inside.dvc("repro", "-q", "train@a")
        assert (mine.root / "runs" / "side" / "scratch" / "s" / "train-a").is_dir()
        save_experiment(place, "five", "what it did")
        assert push_reference(place, "experiment", "five").endswith("/five")
        save_branch(place, "six", "what it did")
        with pytest.raises(HmuError, match="already exists"):
            save_branch(place, "six", "again")
    assert not place.root.exists()
    assert "six" in mine.git("branch", "--list", "six")
    assert "five" in mine.git("for-each-ref", "refs/exps")
    listed = project.experiments()  # by way of `origin`
    assert listed["five"]["params"]["params.yaml"]["data"]["train"]["rate"] == 5


def test_a_killed_run_leaves_a_worktree_that_the_next_one_removes(project: Project) -> None:
    folder = project.root / "runs" / "side" / "worktrees"
    with worktree(project.root, "HEAD", key="alive", scratch="s") as alive:
        pid = os.fork()
        if pid == 0:  # a run that is killed while its worktree is open
            with worktree(project.root, "HEAD", key="dead", scratch="s"):
                os._exit(9)
        os.waitpid(pid, 0)
        assert (folder / "dead").is_dir()
        with worktree(project.root, "HEAD", key="next", scratch="s"):
            assert not (folder / "dead").exists()
            assert alive.root.is_dir()
    assert list(folder.iterdir()) == []
    assert len(project.git("worktree", "list").splitlines()) == 1


def test_a_remote_beside_the_checkout_is_found_from_the_worktree(project: Project) -> None:
    project.dvc("remote", "add", "--default", "near", "../a remote")
    project.git("commit", "-q", "--all", "-m", "remote")
    project.dvc("repro", "-q", "prepare")
    with worktree(project.root, "HEAD", key="k", scratch="s") as place:
        merge_entries(place.root, read_entries(project.root, ["prepare"]))
        inside = Project(place.root, project.environment)
        inside.dvc("push", "-q", "prepare")
    assert list((project.root.parent / "a remote").rglob("*"))
    assert not (project.root / "runs" / "side" / "a remote").exists()


def test_entries_are_merged_without_touching_the_others(project: Project) -> None:
    project.dvc("repro", "-q", "prepare")
    entries = read_entries(project.root)
    merge_entries(project.root, {"other": {"cmd": "x", "outs": []}})
    assert lock_order(project.root) == ["prepare", "other"]
    assert read_entries(project.root, ["prepare", "absent"]) == entries
    (project.root / "dvc.lock").unlink()
    merge_entries(project.root, entries)
    assert "Running stage" not in project.dvc("repro", "prepare")


def test_a_commit_that_a_clone_lacks_is_fetched(project: Project, tmp_path: Path) -> None:
    mine = project.clone(tmp_path / "mine")
    project.git("commit", "-q", "--allow-empty", "-m", "later")
    commit = project.git("rev-parse", "HEAD")
    assert find_commit(mine.root, commit) == commit
    project.git("commit", "-q", "--allow-empty", "-m", "later still")
    assert find_commit(mine.root, "origin/main") == project.git("rev-parse", "HEAD")
    with pytest.raises(HmuError, match=r"none of its remotes \(origin\) has; push it"):
        find_commit(mine.root, "f" * 40)


def test_revisions_and_parameters_that_do_not_exist(project: Project) -> None:
    with pytest.raises(HmuError, match=r"no revision '--all', and none of its remotes \(none\)"):
        find_commit(project.root, "--all")
    for name in ("../away", "a..b", "", "-x", "x.lock"):
        with (
            pytest.raises(HmuError, match="cannot be the name of a run"),
            worktree(project.root, "HEAD", key="k", scratch=name),
        ):
            pass
    with pytest.raises(HmuError, match=r"params.yaml has no key 'train.rat'"):
        set_params(project.root, None, {"train.rat": 1})
    with pytest.raises(HmuError, match="unknown preset 'huge'"):
        set_params(project.root, "huge", {})
    set_params(project.root, None, {"train.rate": 2, "run.concept": "wave"})
    text = (project.root / "params.yaml").read_text(encoding="utf-8")
    assert text == "# A comment that stays.\nrun:\n  concept: wave\n  seed: 0\ntrain:\n  rate: 2\n"
