"""The recorder: steps that send their records leave what steps leave that write themselves; ends of all kinds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.recording import recorder
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking import runs as mlflow_runs
from hmu_tasks.tracking import step_run as tracking
from hmu_tasks.tracking import store as mlflow_store
from hmu_tasks.tracking.recorder import RecordedRun, reach

# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

STEP = """
import sys, time
from pathlib import Path
from hmu_tasks import tracking
with tracking.step_run("train", "base", params={"lr": 0.1}, tags={}, root=Path()) as run:
    run.metrics({"loss": 1.0})
    print("open", "mlflow" in sys.modules, flush=True)
    time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "prefect-1")
    return tmp_path


@pytest.fixture
def address(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a recorder for steps of this test."""
    with recorder(root) as environment:
        (given,) = environment.values()
        deadline = time.monotonic() + 60
        while not Path(given).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        monkeypatch.setenv(tracking.RECORDER_VARIABLE, given)
        yield given


def start(root: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STEP, str(seconds)], cwd=root, text=True, stdout=subprocess.PIPE
    )


def children(root: Path) -> list[Any]:
    client = mlflow_store.new_client(mlflow_store.tracking_uri(root))
    (experiment,) = (e for e in client.search_experiments() if e.name == mlflow_runs.EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [run for run in runs if "mlflow.parentRunId" in run.data.tags]


def fill(run: tracking.StepRun, folder: Path) -> None:
    """Use every call."""
    run.metrics({"R@1": 0.9, "absent": None})
    run.metrics({"loss": 0.5}, step=7)
    run.curve("pairs", [(step, step / 2) for step in range(1001)])
    run.curve("table", pd.DataFrame({"step": [0, 1], "name": ["a", "b"], "value": [2.0, 1.0]}))
    run.artifact(folder)
    run.artifact(folder / "one.txt", "below")
    run.tag("number", 3)


def test_the_records_are_those_of_a_step_that_writes_itself(
    root: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "one.txt").write_text("text", encoding="utf-8")
    params = {"momask": {"layers": 2}}
    monkeypatch.setenv("DVC_STAGE", "train@base")
    for variable in (address, ""):
        monkeypatch.setenv(tracking.RECORDER_VARIABLE, variable)
        with tracking.step_run("train", "base", params=params, tags={"dataset": "x"}, root=Path()) as run:
            assert isinstance(run, RecordedRun) == bool(variable)
            fill(run, Path("folder"))
    sent, written = children(root)
    assert sent.data.tags | {"mlflow.runName": ""} == written.data.tags | {"mlflow.runName": ""}
    assert sent.data.tags["hmu.process"] == lineage.process_identity(os.getpid())
    assert sent.data.tags["hmu.stage"] == "train@base"
    assert (sent.data.params, sent.info.status) == (written.data.params, written.info.status)
    own, other = (
        {k: v for k, v in r.data.metrics.items() if not k.startswith("system/")} for r in (sent, written)
    )
    assert own == other
    assert set(own) == {"R_1", "loss", "pairs", "table/a", "table/b"}
    assert any(name.startswith("system/") for name in sent.data.metrics)
    client = mlflow_store.new_client(mlflow_store.tracking_uri(root))
    for run_id in (sent.info.run_id, written.info.run_id):
        assert len(client.get_metric_history(run_id, "pairs")) == 1001
        stored = root / "runs/side/mlflow/artifacts" / run_id / "artifacts"
        files = sorted(path.relative_to(stored).as_posix() for path in stored.rglob("*.txt"))
        assert files == ["below/one.txt", "folder/one.txt"]


@pytest.mark.usefixtures("address")
def test_a_step_does_not_load_mlflow(root: Path) -> None:
    assert start(root, 0).communicate(timeout=120)[0] == "open False\n"
    (run,) = children(root)
    assert (run.info.status, run.data.metrics["loss"]) == ("FINISHED", 1.0)


@pytest.mark.usefixtures("address")
def test_a_failing_step_ends_failed_and_the_error_of_the_store_reaches_the_step(root: Path) -> None:
    def broken() -> None:
        with tracking.step_run("train", "base", params={}, tags={}, root=root) as run:
            run.artifact(root / "absent")

    with pytest.raises(HmuError, match="absent cannot be recorded in MLflow"):
        broken()
    (run,) = children(root)
    assert run.info.status == "FAILED"
    assert "absent cannot be recorded" in run.data.tags["hmu.error"]


@pytest.mark.usefixtures("address")
def test_a_killed_step_ends_killed_at_once(root: Path) -> None:
    process = start(root, 300)
    assert process.stdout is not None
    assert process.stdout.readline() == "open False\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while (status := children(root)[0].info.status) == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == "KILLED"


def test_steps_that_are_ended_with_the_recorder_end_killed(root: Path) -> None:
    with recorder(root) as environment:
        while reach(environment[tracking.RECORDER_VARIABLE]) is None:
            time.sleep(0.05)
        os.environ[tracking.RECORDER_VARIABLE] = environment[tracking.RECORDER_VARIABLE]
        try:
            process = start(root, 300)
        finally:
            del os.environ[tracking.RECORDER_VARIABLE]
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        process.communicate()
    assert [run.info.status for run in children(root)] == ["KILLED"]
    assert not Path(environment[tracking.RECORDER_VARIABLE]).exists()


def test_without_a_listener_the_step_writes_itself(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracking.RECORDER_VARIABLE, str(root / "nobody"))
    with tracking.step_run("train", "base", params={}, tags={}, root=root) as run:
        assert isinstance(run, mlflow_runs.StoreRun)
    assert [run.info.status for run in children(root)] == ["FINISHED"]


def test_a_recorder_that_is_gone_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = root / "socket"
    process = subprocess.Popen([sys.executable, "-m", "hmu_tasks.tracking.recorder", str(socket)])
    while reach(str(socket)) is None:
        time.sleep(0.05)
    monkeypatch.setenv(tracking.RECORDER_VARIABLE, str(socket))

    def orphaned() -> None:
        with tracking.step_run("train", "base", params={}, tags={}, root=root) as run:
            process.kill()
            process.wait()
            run.metrics({"loss": 1.0})

    with pytest.raises(HmuError, match="does not answer any more"):
        orphaned()
