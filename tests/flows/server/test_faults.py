"""What goes wrong in a cluster, made to go wrong on a real server."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from lab import Lab, wait_until
from ruamel.yaml import YAML
from running import processes_in
from toy_project import Project

from flows.server.operate import AUTOMATIONS

TEN = """
stages:
  many:
    matrix: {{cell: [{cells}]}}
    cmd: {python} step.py many-${{item.cell}}
    deps: [step.py]
    outs: ["out/many-${{item.cell}}"]
"""


def test_a_broken_contract_is_shown_with_its_clips_and_not_tried_again(project: Project, lab: Lab) -> None:
    project.flag("contract-prepare")
    status, output = project.run(PREFECT_API_URL=lab.url)
    assert status == 1
    assert "1 of 6 stages failed: prepare; 5 not started as a result" in output
    assert project.executed() == ["prepare"]
    number = lab.runs_of("unlearning")[0]["id"]
    left = lab.artifacts(number)
    assert "1 of 2 data contracts are broken" in left["failure-prepare"]
    (row,) = json.loads(left["broken-contracts"])
    assert row["contract"] == "feet touch the floor"
    assert row["clips"] == "clip-000007, clip-000013"
    states = lab.task_states(number, 6)
    assert states.pop("prepare") == "Failed"
    assert set(states.values()) == {"NotReady"}


def test_a_remote_out_of_reach_is_a_clear_failure(project: Project, lab: Lab) -> None:
    project.dvc("remote", "add", "--default", "far", "s3://bucket/cache")
    project.dvc("remote", "modify", "far", "endpointurl", "http://127.0.0.1:9")
    project.git("commit", "-q", "--all", "-m", "remote")
    status, output = project.run(
        "train@a",
        "--placement",
        "gpu-pool",
        PREFECT_API_URL=lab.url,
        HMU_REMOTE_WAITS="0.1",
        AWS_MAX_ATTEMPTS="1",
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="a-long-secret",  # noqa: S106
    )
    assert status == 1
    assert "1 of 2 stages failed: train@a" in output
    assert "the DVC remote could not be used, 2 tries" in output
    assert "Nothing is lost" in output
    assert "a-long-secret" not in output
    assert project.executed() == ["prepare"]
    assert "Running stage" not in project.dvc("repro", "prepare")


@pytest.mark.slow
def test_ten_stages_that_end_at_once(project: Project, lab: Lab) -> None:
    cells = ", ".join(f"c{number}" for number in range(10))
    (project.root / "dvc.yaml").write_text(TEN.format(cells=cells, python=sys.executable), encoding="utf-8")
    status, output = project.run("--workers", "10", PREFECT_API_URL=lab.url)
    assert status == 0, output
    assert len(project.executed()) == len(set(project.executed())) == 10
    assert "Running stage" not in project.dvc("repro")
    assert len(project.log()) == 10


def start_on_the_gpu_pool(lab: Lab, machine: Project, *, seconds: int, rate: int, name: str) -> str:
    """Start a flow run whose stage train@a goes to a worker of the pool gpu and takes its time; its id."""
    machine.flag("slow", str(seconds))
    return lab.start_run(
        "unlearning/on-demand",
        placement="gpu-pool",
        targets=["train@a"],
        overrides={"train.rate": rate},
        name=name,
    )


def stage_run_of(lab: Lab, name: str) -> dict[str, Any]:
    """The one flow run of a stage that the run of this name has dispatched."""
    (found,) = [run for run in lab.runs_of("stage") if run["parameters"].get("scratch") == name]
    return found


@pytest.mark.slow
def test_the_server_is_restarted_while_a_checkout_and_a_worker_run_stages(
    lab: Lab, project: Project, machines: tuple[Project, Project]
) -> None:
    first, second = machines
    number = start_on_the_gpu_pool(lab, first, seconds=40, rate=41, name="restart")
    wait_until(lambda: "train-a" in first.executed(), what="the stage on the worker")
    project.flag("slow", "40")
    process = project.flow("train@a", PREFECT_API_URL=lab.url)
    wait_until(lambda: "train-a" in project.executed(), what="the stage in the checkout")
    child, own = stage_run_of(lab, "restart"), lab.runs_of("unlearning")[0]["id"]
    assert own != number
    assert lab.flow_run(child["id"])["state_name"] == "Running"
    lab.stop_server()
    time.sleep(3)
    lab.start_server()
    for one in (first, project):
        one.flag("slow", "0")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert project.executed() == ["prepare", "train-a"]
    assert lab.flow_run(own)["state_name"] == "Completed"
    assert lab.task_states(own, 2) == {"prepare": "Completed", "train@a": "Completed"}
    run = lab.wait_for(number)
    assert run["state_name"] == "Completed", run["state"]["message"] + lab.log("cpu") + lab.log("gpu")
    assert lab.flow_run(child["id"])["state_name"] == "Completed"
    assert first.executed() == ["prepare", "train-a"]
    assert first.log()[-1][3].startswith(str(second.root))
    assert "restart" in first.experiments()
    assert stage_processes(first) == stage_processes(second) == []


@pytest.mark.slow
def test_cancelling_ends_everything_on_both_machines(lab: Lab, machines: tuple[Project, Project]) -> None:
    first, second = machines
    number = start_on_the_gpu_pool(lab, first, seconds=900, rate=21, name="stop")
    wait_until(lambda: "train-a" in first.executed(), what="the stage")
    assert stage_processes(second)
    child = stage_run_of(lab, "stop")
    lab.api(f"/flow_runs/{number}/set_state", {"state": {"type": "CANCELLING"}})
    assert lab.wait_for(number)["state_type"] == "CANCELLED"
    assert lab.wait_for(child["id"])["state_type"] == "CANCELLED"
    wait_until(lambda: not stage_processes(first) and not stage_processes(second), what="the processes")
    assert first.git("status", "--porcelain") == ""
    assert "stop" not in first.experiments()
    assert "Running stage" in first.dvc("repro", "--force", "prepare")


def stage_processes(machine: Project) -> list[int]:
    """Processes of stages and of DVC; the worker itself stays."""
    return [one.pid for one in processes_in(machine.root / "runs" / "side" / "worktrees")]


def silence(lab: Lab, number: str) -> None:
    """Let the server see one heartbeat of a flow run, the last one."""
    (automation,) = YAML(typ="safe").load(AUTOMATIONS.read_text(encoding="utf-8"))
    automation["name"] = f"10 s for {number}"
    automation["trigger"]["within"] = 10
    automation["trigger"]["match"] = {"prefect.resource.id": f"prefect.flow-run.{number}"}
    lab.prefect("automation", "create", "--from-json", json.dumps(automation))
    now = datetime.now(UTC)
    beat = {
        "id": str(uuid4()),
        "occurred": now.isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{number}"},
        "payload": {},
    }
    time.sleep(2)  # automations are read anew by the server's own services
    lab.api("/events", [beat])


@pytest.mark.slow
def test_a_killed_machine_falls_silent_and_is_replaced_and_training_goes_on(
    lab: Lab, machines: tuple[Project, Project], tmp_path: Path
) -> None:
    first, second = machines
    number = start_on_the_gpu_pool(lab, first, seconds=15, rate=31, name="kill")
    scratch = Path(lab.variables["HMU_SCRATCH"]) / "kill" / "train-a" / "checkpoint"
    wait_until(lambda: scratch.exists() and int(scratch.read_text() or 0) >= 1, what="the checkpoint")
    child = stage_run_of(lab, "kill")
    lab.kill_worker("gpu")
    wait_until(lambda: not stage_processes(second), what="the orphans")
    assert lab.flow_run(child["id"])["state_name"] == "Running"
    first.flag("slow", "0")
    third = first.clone(tmp_path / "third")
    lab.start_worker("gpu", "gpu", third, limit=2, CUDA_VISIBLE_DEVICES="2,5")
    silence(lab, child["id"])
    lost = lab.wait_for(child["id"])
    assert lost["state_type"] == "CRASHED"
    assert "no heartbeat" in lost["state"]["message"]
    run = lab.wait_for(number)
    assert run["state_name"] == "Completed", run["state"]["message"] + lab.log("cpu") + lab.log("gpu")
    (resumed,) = [line[0] for line in first.log() if " from " in line[0]]
    assert int(resumed.rpartition(" ")[2]) >= 1
    folders = [line[3] for line in first.log() if line[0] == "train-a"]
    assert len(folders) == 2
    assert folders[0].startswith(str(second.root))
    assert folders[1].startswith(str(third.root))
    lab.stop_worker("gpu")
