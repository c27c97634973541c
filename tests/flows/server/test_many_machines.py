"""Stages on workers with checkouts of their own: inputs and outputs by the DVC remote, lock entries by Prefect."""

import json

import pytest
from lab import Lab
from toy_project import STAGES, Project

NAMES = sorted(name.replace("@", "-") for name in STAGES)


@pytest.mark.slow
def test_two_runs_at_once_on_two_machines_come_home_as_experiments(
    lab: Lab, machines: tuple[Project, Project]
) -> None:
    first, second = machines
    before = first.git("rev-parse", "HEAD"), first.git("status", "--porcelain")
    # One gives its GPU stages to the other machine, one works by itself; they share nothing but the cache.
    seven = lab.start_run(
        "unlearning/on-demand", placement="gpu-pool", overrides={"train.rate": 7}, seeds=[3], name="seven"
    )
    eight = lab.start_run(
        "unlearning/on-demand",
        concept="wave",
        overrides={"train.rate": 8},
        targets=["train@a"],
        name="eight",
    )
    for number in (seven, eight):
        run = lab.wait_for(number)
        assert run["state_name"] == "Completed", run["state"]["message"] + lab.log("cpu") + lab.log("gpu")
    assert (first.git("rev-parse", "HEAD"), first.git("status", "--porcelain")) == before
    assert not (first.root / "out").exists()
    assert list((first.root / "runs" / "side" / "worktrees").iterdir()) == []

    mine = {line[0]: line for line in first.log() if line[1].endswith(seven)}
    assert set(NAMES) - set(mine) <= {"prepare"}  # which may be the other run's, out of the shared cache
    assert all(mine[name][3].startswith(str(second.root)) for name in ("train-a", "train-b"))
    assert mine["report"][3].startswith(str(first.root / "runs" / "side" / "worktrees"))
    assert {mine["train-a"][2], mine["train-b"][2]} <= {"2", "5"}  # one GPU each
    other = {line[0]: line for line in first.log() if line[1].endswith(eight)}
    assert {"train-a"} <= set(other) <= {"prepare", "train-a"}  # `prepare` may be the other run's

    states = lab.task_states(seven, 6)
    assert {states[name] for name in STAGES} <= {"Completed", "Cached"}
    children = [
        run for run in lab.runs_of("stage") if run["parameters"].get("pipeline") == f"prefect-{seven}"
    ]
    assert {run["name"] for run in children} == {"train@a", "train@b"}
    for child in children:
        assert set(lab.artifacts(child["id"])) == {
            "lock-entry",
            f"progress-{child['name'].replace('@', '-')}",
        }
        assert len(json.dumps(child["parameters"])) < 4000
    left = lab.artifacts(seven)
    assert set(left) == {"stages", "metrics", "report"}
    assert [row["fid"] for row in json.loads(left["metrics"])] == ["7"]
    assert (first.root / "runs" / "side" / "reports" / "seven" / "index.html").read_text() == "page"

    experiments = first.experiments()
    assert experiments["seven"]["params"]["params.yaml"]["data"]["train"]["rate"] == 7
    assert experiments["eight"]["params"]["params.yaml"]["data"]["run"]["concept"] == "wave"
    count = len(first.log())
    first.dvc("exp", "apply", "seven")
    assert "Running stage" not in first.dvc("repro")
    assert len(first.log()) == count
    assert "train-a(7)" in (first.root / "out" / "report").read_text()
    assert "# A comment that stays." in (first.root / "params.yaml").read_text()
    assert "seed: 3" in (first.root / "params.yaml").read_text()
    first.git("reset", "-q", "--hard")
