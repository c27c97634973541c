"""The flow on a real Prefect server and a real DVC project."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from lab import Lab, wait_until
from running import command_line
from toy_project import STAGES, Project

from flows.engine.graph import read_stages
from flows.engine.lockfile import lock_order

# DVC 3.67 asks its trie in a way that the trie announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")

NAMES = [name.replace("@", "-") for name in STAGES]


def wait_for_lines(project: Project, count: int) -> None:
    wait_until(lambda: len(project.log()) >= count, what=f"{count} lines")


def nothing_left(project: Project, seconds: float = 60.0) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while (left := project.processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def test_every_stage_runs_once_in_order_on_its_own_device_and_then_nothing(
    project: Project, lab: Lab
) -> None:
    project.flag("together", "60")  # each waits that long for the other, so that both need a device at once
    status, output = project.run("--workers", "3", PREFECT_API_URL=lab.url, CUDA_VISIBLE_DEVICES="2,5")
    assert status == 0, output
    devices = {line[0]: line[2] for line in project.log()}
    assert {devices["train-a"], devices["train-b"]} == {"2", "5"}
    assert {devices[name] for name in ("prepare", "unlearn-a", "report")} == {""}
    order = project.executed()
    assert sorted(order) == sorted(NAMES)
    assert order[0] == "prepare"
    assert order[-1] == "report"
    assert order.index("train-a") < order.index("unlearn-a")
    assert len({line[1] for line in project.log()}) == 1  # one parent in MLflow
    assert project.log()[0][1].startswith("prefect-")
    assert lock_order(project.root) == [stage.name for stage in read_stages(project.root)]
    assert "Running stage" not in project.dvc("repro")
    flow_run = lab.runs_of("unlearning")[0]
    assert flow_run["state_name"] == "Completed"
    assert lab.task_states(flow_run["id"], 6) == dict.fromkeys(STAGES, "Completed")
    artifacts = lab.artifacts(flow_run["id"])
    assert set(artifacts) == {"stages", "metrics", "report", "progress-train-a", "progress-train-b"}
    assert [row["fid"] for row in json.loads(artifacts["metrics"])] == ["1"]
    assert artifacts["progress-train-a"] == 100

    status, output = project.run(PREFECT_API_URL=lab.url)
    assert status == 0, output
    assert len(project.log()) == len(STAGES)
    flow_run = lab.runs_of("unlearning")[0]
    assert lab.task_states(flow_run["id"], 6) == dict.fromkeys(STAGES, "Cached")


def test_a_failing_stage_stops_only_what_needs_it(project: Project, lab: Lab) -> None:
    broken = project.root / "side" / "fail-train-a"
    broken.touch()
    status, output = project.run(PREFECT_API_URL=lab.url)
    assert status == 1
    assert "1 of 6 stages failed: train@a; 2 not started as a result" in output
    assert "train-a is broken on purpose" in output
    assert "Traceback" not in output
    assert set(project.executed()) == {"prepare", "train-a", "train-b", "unlearn-b"}
    flow_run = lab.runs_of("unlearning")[0]
    assert flow_run["state_name"] == "Failed"
    broken.unlink()
    project.forget_log()
    status, output = project.run(PREFECT_API_URL=lab.url)
    assert status == 0, output
    assert set(project.executed()) == {"train-a", "unlearn-a", "report"}


def test_targets_force_and_wrong_names(project: Project, lab: Lab) -> None:
    status, output = project.run("train@b", PREFECT_API_URL=lab.url)
    assert status == 0, output
    assert project.executed() == ["prepare", "train-b"]
    status, output = project.run("train@b", "--force", PREFECT_API_URL=lab.url)
    assert status == 0, output
    assert project.executed() == ["prepare", "train-b"] * 2
    status, output = project.run("trian", PREFECT_API_URL=lab.url)
    assert status == 1
    assert "there is no stage 'trian'" in output
    assert "Traceback" not in output


def test_stopping_the_flow_ends_its_stages(project: Project, lab: Lab) -> None:
    """SIGTERM; tests of `make repro` press Ctrl-C."""
    (project.root / "side" / "slow").write_text("300", encoding="utf-8")
    process = project.flow(PREFECT_API_URL=lab.url)
    wait_for_lines(project, 3)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0, output
    assert nothing_left(project) == []
    (project.root / "side" / "slow").unlink()
    project.dvc("repro", "-q")
    assert project.dvc("status", "--json").strip() == "{}"


@pytest.mark.slow
def test_killing_the_flow_leaves_nothing_behind_with_its_own_server(project: Project) -> None:
    (project.root / "side" / "slow").write_text("300", encoding="utf-8")
    process = project.flow()
    wait_for_lines(project, 3)
    names = " ".join(command_line(found) for found in project.processes())
    assert "prefect server start" in names
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert nothing_left(project) == []
    assert process.stdout is not None
    process.stdout.close()
    (project.root / "side" / "slow").unlink()
    subprocess.run(["git", "status"], cwd=project.root, check=True, capture_output=True)
    project.dvc("repro", "-q")
    assert project.dvc("status", "--json").strip() == "{}"
    assert (project.root / "runs" / "side" / "prefect").is_dir()


def test_an_absent_server_is_said_clearly(project: Project) -> None:
    status, output = project.run(PREFECT_API_URL="http://127.0.0.1:9/api")
    assert status == 1
    assert output.startswith("no Prefect server answers at http://127.0.0.1:9/api")
    assert "Traceback" not in output
    assert project.executed() == []


@pytest.mark.slow
def test_each_seed_is_an_experiment(project: Project, lab: Lab) -> None:
    code = "from flows.pipeline import unlearning; unlearning(name='s', seeds=[4, 5], targets=['prepare'])"
    project.command(sys.executable, "-c", f"import os; os.environ['PREFECT_API_URL'] = {lab.url!r}; {code}")
    found = project.experiments()
    seeds = {name: one["params"]["params.yaml"]["data"]["run"]["seed"] for name, one in found.items()}
    assert seeds == {"s-seed4": 4, "s-seed5": 5}
    names = {run["name"] for run in lab.runs_of("unlearning")}
    assert {"s-seed4", "s-seed5"} <= names
