"""The mirror in MLflow: structure, failures, parallel first start, nothing astray."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pandas as pd
import pytest

from hmu_tasks.metrics import ROLES
from hmu_tasks.metrics import metric as describe
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking import runs as mlflow_runs
from hmu_tasks.tracking import step_run as tracking
from hmu_tasks.tracking import store as mlflow_store
from hmu_tasks.tracking import views as mlflow_views

# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

STEP = """
import sys, time
from pathlib import Path
from hmu_tasks import tracking
name, seconds, failing = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "fail"
with tracking.step_run("train", name, params={"lr": 0.1}, tags={}, root=Path(sys.argv[4])) as run:
    print("open", flush=True)
    run.curve("loss", [(step, 1.0 / (step + 1)) for step in range(1500)])
    time.sleep(seconds)
    if failing:
        raise SystemExit("broken on purpose")
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", "DVC_STAGE", lineage.PIPELINE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return folder


def start(root: Path, name: str, *, seconds: float = 0, fail: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STEP, name, str(seconds), "fail" if fail else "go", str(root)],
        cwd=root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def runs_of(root: Path) -> pd.DataFrame:
    """All runs of the local store, oldest first."""
    client = mlflow_store.new_client(mlflow_store.tracking_uri(root))
    rows = [
        {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "parent": run.data.tags.get("mlflow.parentRunId"),
            "tags": run.data.tags,
            "params": run.data.params,
            "metrics": {k: v for k, v in run.data.metrics.items() if not k.startswith("system/")},
        }
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    ]
    return pd.DataFrame(rows)


def test_children_share_one_parent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "flow-1")
    (root / "report.txt").write_text("text", encoding="utf-8")
    params = {"momask": {"layers": 2, "sizes": [1, 2]}, "name": "x"}
    with tracking.step_run("train", "base", params=params, tags={"dataset": "synthetic"}, root=root) as run:
        run.metrics({"R@1": 0.9, "absent": None})
        run.metrics({"loss": 0.5}, step=7)
        run.artifact(root / "report.txt")
    with tracking.step_run("evaluate", "base", params={}, tags={}, root=root):
        pass
    with tracking.step_run("evaluate", "base", params={}, tags={}, root=root):
        pass
    runs = runs_of(root)
    assert runs["parent"].isna().sum() == 1
    parent = runs[runs["parent"].isna()].iloc[0]
    children = runs[runs["parent"].notna()].reset_index()
    assert set(children["parent"]) == {parent["id"]}
    assert list(children["name"]) == ["base"] * 3
    assert set(runs["status"]) == {"FINISHED"}
    first = children.iloc[0]
    assert first["params"] == {"momask.layers": "2", "momask.sizes": "[1, 2]", "name": "x"}
    assert first["metrics"] == {"R_1": 0.9, "loss": 0.5}
    assert first["tags"]["dataset"] == "synthetic"
    assert first["tags"]["hmu.step"] == "train"
    assert parent["tags"]["hmu.pipeline"] == "flow-1"
    stored = root / "runs/side/mlflow/artifacts" / first["id"] / "artifacts" / "report.txt"
    assert stored.read_text(encoding="utf-8") == "text"


def test_another_pipeline_run_gets_another_parent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("one", "two"):
        monkeypatch.setenv(lineage.PIPELINE_VARIABLE, key)
        with tracking.step_run("train", "base", params={}, tags={}, root=root):
            pass
    assert runs_of(root)["parent"].isna().sum() == 2


def test_the_pages_explain_themselves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiment, parent and every kind of step have a description; views with the columns that matter are there."""
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "dvc-1")
    for step in ("train", "unlearn", "evaluate", "probe", "register"):
        with tracking.step_run(step, "x", params={}, tags={}, root=root) as run:
            pass
        assert run.client.get_run(run.run_id).data.tags["mlflow.source.name"] == step
    runs = runs_of(root)
    assert len(runs) == 6
    assert all(len(tags["mlflow.note.content"]) > 40 for tags in runs["tags"])
    assert runs.iloc[0]["tags"]["mlflow.source.name"] == "dvc repro"
    experiment = run.client.get_experiment_by_name(mlflow_runs.EXPERIMENT)
    tags = experiment.tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    for view in mlflow_views.VIEWS:
        assert view.name in tags["mlflow.note.content"]
        saved = json.loads(tags[f"mlflow.sharedViewState.{view.key}"])
        state = json.loads(zlib.decompress(base64.b64decode(saved["state"].removeprefix("deflate;"))))
        assert (saved["name"], state["searchFilter"]) == (view.name, view.runs)
        assert state["selectedColumns"] == list(view.columns)
        assert len(run.client.search_runs([experiment.experiment_id], view.runs)) == 1
        names = [column.split("`")[1] for column in view.columns if column.startswith("metrics")]
        if view.key == "methods":
            assert all(
                describe(metric).better.get(ROLES[split]) for split, metric in (n.split("/") for n in names)
            )


def test_the_machine_is_watched(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load and memory of the machine stand on the run's page, also where a step took seconds only."""
    monkeypatch.delenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", raising=False)
    with tracking.step_run("train", "base", params={}, tags={}, root=root) as run:
        pass
    found = run.client.get_run(run.run_id).data.metrics
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"} <= set(found)


def test_curves_from_pairs_and_tables(root: Path) -> None:
    history = pd.DataFrame({"step": [0, 1, 0], "name": ["loss", "loss", "val"], "value": [2.0, 1.0, 3.0]})
    with tracking.step_run("train", "base", params={}, tags={}, root=root) as run:
        run.curve("pairs", [(step, step / 2) for step in range(1001)])
        run.curve("base", history)
        run.curve("single", history[history["name"] == "loss"].drop(columns="name"))
    points = {
        name: [(point.step, point.value) for point in run.client.get_metric_history(run.run_id, name)]
        for name in ("pairs", "base/loss", "base/val", "single")
    }
    assert len(points["pairs"]) == 1001
    assert points["pairs"][-1] == (1000, 500.0)
    assert points["base/loss"] == points["single"] == [(0, 2.0), (1, 1.0)]
    assert points["base/val"] == [(0, 3.0)]


def test_a_raising_step_ends_failed_and_a_repeat_mends_the_parent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "flow")

    def broken() -> None:
        with tracking.step_run("train", "base", params={}, tags={}, root=root):
            raise ValueError("no such clip")

    with pytest.raises(ValueError, match="no such clip"):
        broken()
    runs = runs_of(root)
    assert set(runs["status"]) == {"FAILED"}
    assert runs[runs["parent"].notna()].iloc[0]["tags"]["hmu.error"] == "no such clip"
    with tracking.step_run("train", "base", params={}, tags={}, root=root):
        assert runs_of(root).iloc[0]["status"] == "RUNNING"
    runs = runs_of(root)
    assert sorted(runs[runs["parent"].notna()]["status"]) == ["FAILED", "FINISHED"]
    assert runs[runs["parent"].isna()].iloc[0]["status"] == "FINISHED"


def test_four_processes_may_start_a_fresh_store_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "flow")
    processes = [start(root, f"part-{index}", fail=index == 3) for index in range(4)]
    messages = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 1], messages
    assert messages == ["", "", "", "broken on purpose\n"]  # quiet: no chatter of alembic or MLflow
    runs = runs_of(root)
    assert runs["parent"].isna().sum() == 1
    assert runs["parent"].notna().sum() == 4
    assert runs[runs["parent"].isna()].iloc[0]["status"] == "FAILED"
    assert sorted(path.name for path in root.iterdir()) == ["runs"]


def test_a_killed_step_is_closed_by_the_next_one(root: Path) -> None:
    process = start(root, "base", seconds=300)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert set(runs_of(root)["status"]) == {"RUNNING"}
    with tracking.step_run("train", "base", params={}, tags={}, root=root):
        pass
    runs = runs_of(root)
    assert sorted(runs[runs["parent"].notna()]["status"]) == ["FINISHED", "KILLED"]
    assert sorted(runs[runs["parent"].isna()]["status"]) == ["FAILED", "FINISHED"]


def test_lineage_of_a_stage(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "dvc.lock").write_text(
        """schema: '2.0'
stages:
  ingest:
    cmd: x
    outs:
    - {path: data/clips, hash: md5, md5: abc.dir}
  split:
    cmd: x
    outs:
    - {path: data/split, hash: md5, md5: new.dir}
  train@base:
    cmd: x
    deps:
    - {path: data/split, hash: md5, md5: old.dir}
    - {path: hmu_tasks/train.py, hash: md5, md5: code}
""",
        encoding="utf-8",
    )
    monkeypatch.setenv("DVC_STAGE", "train@base")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], cwd=root, check=True)
    (root / "kept.txt").write_text("1", encoding="utf-8")
    subprocess.run([*git, "add", "kept.txt", "dvc.lock"], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qm", "first"], cwd=root, check=True)
    with (root / "dvc.lock").open("a", encoding="utf-8") as lock:
        lock.write("# a run rewrites this file\n")
    clips = [root / "data" / "clips" / "clips.parquet"]
    with tracking.step_run("train", "base", params={}, tags={}, root=root, inputs=clips) as run:
        tags = run.client.get_run(run.run_id).data.tags
    assert tags["hmu.stage"] == "train@base"
    assert tags["hmu.data"] == "abc.dir"
    assert tags["hmu.input.data/split"] == "new.dir"
    assert tags["hmu.input.data/clips"] == "abc.dir"
    assert "hmu.input.hmu_tasks/train.py" not in tags
    (data,) = run.client.get_run(run.run_id).inputs.dataset_inputs  # the column Dataset
    assert (data.dataset.name, data.dataset.digest) == ("data/clips", "abc.dir")
    assert tags["hmu.git.dirty"] == "false"
    assert len(tags["mlflow.source.git.commit"]) == 40
    (root / "kept.txt").write_text("2", encoding="utf-8")
    assert lineage.commit(root).dirty


def test_a_lock_that_is_being_written_is_read_when_it_is_finished(root: Path) -> None:
    """DVC writes dvc.lock in pieces; half of it would lack stages without being broken."""
    lock = root / "dvc.lock"
    stages = "".join(
        f"  s{n}:\n    cmd: x\n    outs:\n    - {{path: out/{n}, hash: md5, md5: '{n}'}}\n" for n in range(12)
    )

    def write() -> None:
        with lock.open("w", encoding="utf-8") as file:
            file.write("schema: '2.0'\nstages:\n")
            for line in stages.splitlines(keepends=True):
                file.write(line)
                file.flush()
                time.sleep(0.03)

    lock.write_text("schema: '2.0'\nstages: {}\n", encoding="utf-8")
    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.2)
    assert len(lineage.read_lock(root).outputs()) == 12
    writer.join()


def test_a_clock_ahead_does_not_stop_the_reader(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "PATIENCE_SECONDS", 0.3)
    lock = root / "dvc.lock"
    lock.write_text("schema: '2.0'\nstages: {a: {cmd: x, outs: [{path: o, md5: '1'}]}}\n", encoding="utf-8")
    ahead = time.time() + 3600
    os.utime(lock, (ahead, ahead))
    assert lineage.read_lock(root).outputs() == {"o": "1"}


def test_steps_below_one_dvc_process_belong_together(tmp_path: Path) -> None:
    code = "from hmu_tasks.tracking.lineage import pipeline_key; print(pipeline_key())"
    fake = tmp_path / "dvc"
    fake.write_text(
        f"import subprocess, sys\nfor _ in range(2): subprocess.run([sys.executable, '-c', {code!r}])\n",
        encoding="utf-8",
    )
    env = {key: value for key, value in os.environ.items() if key != lineage.PIPELINE_VARIABLE}
    keys = [
        subprocess.run([sys.executable, fake], env=env, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    first, second = (text.split() for text in keys)
    assert first[0] == first[1] != second[0] == second[1]
    assert first[0].startswith("dvc-")


def test_another_store_by_variable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = root.parent / "elsewhere" / "runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    with tracking.step_run("train", "base", params={}, tags={}, root=root):
        pass
    assert other.exists()
    assert not (root / "runs/side/mlflow/mlflow.db").exists()


def test_a_copied_checkout_does_not_write_into_the_original(root: Path) -> None:
    with tracking.step_run("train", "base", params={}, tags={}, root=root):
        pass
    copy = root.parent / "copy"
    root.rename(copy)
    (copy / "file.txt").write_text("1", encoding="utf-8")
    with tracking.step_run("train", "base", params={}, tags={}, root=copy) as run:
        run.artifact(copy / "file.txt")
    assert not root.exists()
    assert len(list((copy / "runs/side/mlflow/artifacts").rglob("file.txt"))) == 1


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://user:secret@127.0.0.1:9", "Connection refused"),
        ("postgresql://user:secret@127.0.0.1:9/x", "Connection refused"),
        ("sqlite:////proc/none/mlflow.db", "cannot be used"),
        ("sqlite:///{root}/broken.db", "not a database"),
    ],
)
def test_an_unreachable_store_is_said_at_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, uri: str, words: str
) -> None:
    (root / "broken.db").write_text("This is no database. " * 100, encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(root=root))
    started = time.monotonic()
    with (
        pytest.raises(HmuError, match=words) as caught,
        tracking.step_run("train", "base", params={}, tags={}, root=root),
    ):
        pass
    assert time.monotonic() - started < 15
    assert "secret" not in str(caught.value)
    assert "run.track" in str(caught.value)


def test_switched_off_it_touches_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with tracking.step_run("train", "base", params={}, tags={}, root=root, enabled=False) as run:
        run.metrics({"loss": 1.0})
        run.curve("loss", [(0, 1.0)])
        run.artifact(root / "absent")
        run.tag("a", "b")
    assert list(root.iterdir()) == []


def test_importing_the_module_does_not_import_mlflow() -> None:
    code = "import sys, hmu_tasks.tracking; print('mlflow' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
