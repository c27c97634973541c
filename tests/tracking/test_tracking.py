"""Runs in the store: structure, failures, parallel first start, nothing astray; where runs come from."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from written_project import runs_of

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking import runs as mlflow_runs
from hmu_tasks.tracking import store as mlflow_store
from hmu_tasks.tracking.runs import step_run
from hmu_tasks.tracking.steps import fingerprint, read_records, recorded

# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

STEP = """
import sys, time
from pathlib import Path
from hmu_tasks.tracking.runs import step_run
name, seconds, failing = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "fail"
with step_run("register", name, params={"lr": 0.1}, tags={}, root=Path(sys.argv[4])) as run:
    print("open", flush=True)
    run.points([("loss", step, 1.0 / (step + 1)) for step in range(1500)])
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


def test_children_share_one_parent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "flow-1")
    (root / "report.txt").write_text("text", encoding="utf-8")
    params = {"momask.layers": 2, "momask.sizes": [1, 2], "name": "x"}
    with step_run("register", "base", params=params, tags={"dataset": "synthetic"}, root=root) as run:
        run.metrics({"R@1": 0.9, "absent": None})
        run.points([("loss", 7, 0.5), *(("long", step, step / 2) for step in range(1001))])
        run.artifact(root / "report.txt")
    with step_run("register", "base", params={}, tags={}, root=root):
        pass
    with step_run("register", "base", params={}, tags={}, root=root):
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
    assert first["metrics"] == {"R_1": 0.9, "loss": 0.5, "long": 500.0}
    assert first["tags"]["dataset"] == "synthetic"
    assert first["tags"]["hmu.step"] == "register"
    assert parent["tags"]["hmu.pipeline"] == "flow-1"
    stored = root / "runs/side/mlflow/artifacts" / first["id"] / "artifacts" / "report.txt"
    assert stored.read_text(encoding="utf-8") == "text"


def test_another_pipeline_run_gets_another_parent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("one", "two"):
        monkeypatch.setenv(lineage.PIPELINE_VARIABLE, key)
        with step_run("register", "base", params={}, tags={}, root=root):
            pass
    assert runs_of(root)["parent"].isna().sum() == 2


def test_a_raising_step_ends_failed_and_a_repeat_mends_the_parent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "flow")

    def broken() -> None:
        with step_run("register", "base", params={}, tags={}, root=root):
            raise ValueError("no such clip")

    with pytest.raises(ValueError, match="no such clip"):
        broken()
    runs = runs_of(root)
    assert set(runs["status"]) == {"FAILED"}
    assert runs[runs["parent"].notna()].iloc[0]["tags"]["hmu.error"] == "no such clip"
    with step_run("register", "base", params={}, tags={}, root=root):
        runs = runs_of(root)
        assert runs[runs["parent"].isna()].iloc[0]["status"] == "RUNNING"
    runs = runs_of(root)
    assert sorted(runs[runs["parent"].notna()]["status"]) == ["FAILED", "FINISHED"]
    assert runs[runs["parent"].isna()].iloc[0]["status"] == "FINISHED"


@pytest.mark.slow
def test_three_processes_may_start_a_fresh_store_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "flow")
    processes = [start(root, f"part-{index}", fail=index == 2) for index in range(3)]
    messages = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 1], messages
    assert messages == ["", "", "broken on purpose\n"]  # quiet: no chatter of alembic or MLflow
    runs = runs_of(root)
    assert runs["parent"].isna().sum() == 1
    assert runs["parent"].notna().sum() == 3
    assert runs[runs["parent"].isna()].iloc[0]["status"] == "FAILED"
    assert sorted(path.name for path in root.iterdir()) == ["runs"]


def test_a_killed_step_is_closed_by_the_next_one(root: Path) -> None:
    mlflow_store.side_folder(root).mkdir(parents=True)
    assert runs_of(root).empty  # and so the store is there, which the process would take seconds to make
    process = start(root, "base", seconds=300)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert set(runs_of(root)["status"]) == {"RUNNING"}
    with step_run("register", "base", params={}, tags={}, root=root):
        pass
    runs = runs_of(root)
    assert sorted(runs[runs["parent"].notna()]["status"]) == ["FINISHED", "KILLED"]
    assert sorted(runs[runs["parent"].isna()]["status"]) == ["FAILED", "FINISHED"]


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
    with step_run("register", "base", params={}, tags={}, root=root):
        pass
    assert other.exists()
    assert not (root / "runs/side/mlflow/mlflow.db").exists()


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
        step_run("register", "base", params={}, tags={}, root=root),
    ):
        pass
    assert time.monotonic() - started < 15
    assert "secret" not in str(caught.value)
    assert "run.track" in str(caught.value)


def test_lineage_of_a_run(root: Path) -> None:
    (root / "dvc.lock").write_text(
        """schema: '2.0'
stages:
  ingest:
    cmd: x
    outs:
    - {path: data/clips, hash: md5, md5: abc.dir}
  train@base:
    cmd: x
    deps:
    - {path: data/clips/clips.parquet, hash: md5, md5: file}
    - {path: hmu_tasks/train.py, hash: md5, md5: code}
    params: {params.yaml: {run.seed: 3}}
""",
        encoding="utf-8",
    )
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], cwd=root, check=True)
    (root / "kept.txt").write_text("1", encoding="utf-8")
    subprocess.run([*git, "add", "kept.txt", "dvc.lock"], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qm", "first"], cwd=root, check=True)
    with (root / "dvc.lock").open("a", encoding="utf-8") as lock:
        lock.write("# a run rewrites this file\n")
    clips = [Path("data/clips/clips.parquet")]
    with step_run("register", "base", params={}, tags={}, root=root, inputs=clips) as run:
        tags = run.client.get_run(run.run_id).data.tags
    assert tags["hmu.data"] == "abc.dir"
    assert tags["hmu.input.data/clips"] == "abc.dir"
    (data,) = run.client.get_run(run.run_id).inputs.dataset_inputs  # the column Dataset
    assert (data.dataset.name, data.dataset.digest) == ("data/clips", "abc.dir")
    assert tags["hmu.git.dirty"] == "false"
    assert len(tags["mlflow.source.git.commit"]) == 40
    (root / "kept.txt").write_text("2", encoding="utf-8")
    assert lineage.commit(root).dirty
    lock = lineage.read_lock(root)
    assert lock.inputs("train@base") == {"data/clips/clips.parquet": "file"}
    assert lock.params("train@base") == {"run.seed": 3}


def test_a_step_is_recorded_where_dvc_runs_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded():
        pass
    assert list(root.iterdir()) == []  # by hand
    monkeypatch.setenv("DVC_STAGE", "train-tokenizer@full-0")
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "flow")
    with recorded():
        (running,) = read_records()
        assert running.settled().status == "RUNNING"
    (record,) = read_records()
    assert (record.stage, record.pipeline, record.status) == ("train-tokenizer@full-0", "flow", "FINISHED")
    assert record.process == lineage.process_identity(os.getpid())
    assert record.metrics["peak_memory_mb"] > 1
    assert record.end is not None
    assert record.end >= record.start
    with pytest.raises(ValueError, match="no such clip"), recorded():
        raise ValueError("no such clip")
    (record,) = read_records()
    assert (record.status, record.error) == ("FAILED", "no such clip")


def test_a_killed_step_is_known_by_its_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "ingest")
    code = (
        "import os, signal\nfrom hmu_tasks.tracking.steps import recorded\n"
        "with recorded():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (record,) = read_records()
    assert record.status == "RUNNING"
    assert record.settled().status == "KILLED"


def test_equal_outputs_have_equal_fingerprints(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "config.json").write_text("{}")
        (tmp_path / name / "model.bin").write_bytes(bytes(100_000))
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    (tmp_path / "b" / "inner" / "config.json").write_text("[]")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")


def test_the_experiment_explains_itself(root: Path) -> None:
    with step_run("register", "base", params={}, tags={}, root=root) as run:
        pass
    tags = run.client.get_experiment_by_name(mlflow_runs.EXPERIMENT).tags
    assert "tags.\"hmu.step\" = 'evaluate'" in tags["mlflow.note.content"]
    own = {"mlflow.note.content", "mlflow.experimentKind"}
    assert {name for name in tags if name.startswith("mlflow.")} == own


def test_what_steps_import_does_not_import_mlflow() -> None:
    modules = "hmu_tasks.tracking.live, hmu_tasks.tracking.steps, hmu_tasks.tracking.mirror"
    code = f"import sys, {modules}; print('mlflow' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
