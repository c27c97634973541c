"""Curves of a training while it runs: the file, the run in MLflow, and every way in which a training ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from written_project import HISTORY, Written, children_of, curve, runs_of, write_params

from hmu_tasks.runtime import paths
from hmu_tasks.tracking import lineage, live, mirror
from hmu_tasks.tracking import store as mlflow_store

# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
SOURCE = Path(__file__).resolve().parents[2]
OUTPUT = paths.component("tokenizer", "full")
ROWS = [(2, "loss", 2.0), (4, "loss", 1.5), (4, "validation", 0.25)]
KILLED = """
import time
from pathlib import Path
from hmu_tasks.tracking import live
live.AFTER_SECONDS = 0
with live.LiveCurves(Path("runs/train/0/tokenizer-full"), params={}, tags={}, track=True) as curves:
    curves([(2, "loss", 2.0)])
    print("open", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lineage, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(live, "AFTER_SECONDS", 0.0)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_STAGE", "train-tokenizer@full-0")
    monkeypatch.setenv(lineage.PIPELINE_VARIABLE, "dvc-1")
    write_params(tmp_path)
    return tmp_path


def train(*, fail: bool = False, track: bool = True) -> None:
    """A training of two evaluations, whose output the fixture's project writes."""
    tags = {"component": "tokenizer", "variant": "full"}
    with live.LiveCurves(OUTPUT, params={"steps": 4}, tags=tags, track=track) as curves:
        curves(ROWS[:1])
        if fail:
            raise ValueError("out of memory")
        curves(ROWS)
        Written(Path()).tokenizer()


def test_the_file_holds_the_points_so_far(root: Path) -> None:
    with live.LiveCurves(OUTPUT, params={}, tags={}, track=False) as curves:
        file = paths.LIVE / "tokenizer-full-0.csv"
        assert file.read_text() == "step,name,value\n"
        curves(ROWS[:1])
        assert file.read_text() == "step,name,value\n2,loss,2\n"
        curves(ROWS)
        assert file.read_text() == HISTORY
    with live.LiveCurves(OUTPUT, params={}, tags={}, track=False) as curves:
        curves(ROWS)  # a continued training shows the earlier points again
    assert file.read_text() == HISTORY
    assert not (root / "runs/side/mlflow").exists()


def test_a_short_training_leaves_mlflow_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "AFTER_SECONDS", 60.0)
    train()
    assert not (root / "runs/side/mlflow").exists()


def test_points_arrive_while_it_runs_and_the_mirror_completes_that_run(root: Path) -> None:
    with live.LiveCurves(OUTPUT, params={"steps": 4}, tags={"component": "tokenizer"}, track=True) as curves:
        curves(ROWS[:1])
        runs = runs_of(root)
        assert set(runs["status"]) == {"RUNNING"}
        (run,) = children_of(root)["id"]
        assert curve(root, run, "train/loss") == [(2, 2.0)]
        curves(ROWS[:2])
        assert curve(root, run, "train/loss") == [(2, 2.0), (4, 1.5)]
        Written(root).tokenizer()
    assert set(runs_of(root)["status"]) == {"FINISHED"}
    assert mirror.run().written == 2
    (training,) = (one for one in children_of(root).to_dict("records") if one["step"] == "train")
    assert training["id"] == run
    wanted = {"steps": "4", "seed": "3", "mode": "scratch", "sizes": "[1, 2]", "train.tokenizer.seed": "7"}
    assert training["params"] == wanted
    assert training["tags"]["hmu.input.data/clips"] == training["tags"]["hmu.data"]
    assert curve(root, run, "train/loss") == [(2, 2.0), (4, 1.5)]
    assert curve(root, run, "train/validation") == [(4, 0.25)]
    assert training["metrics"]["loss"] == 1.5
    assert mirror.run().written == 0


def test_the_machine_is_watched(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", raising=False)
    monkeypatch.setattr(live, "_SAMPLE_SECONDS", 0.1)
    from hmu_tasks.tracking.store import new_client, tracking_uri

    with live.LiveCurves(OUTPUT, params={}, tags={}, track=True) as curves:
        curves(ROWS)
        (run,) = children_of(root)["id"]
        client = new_client(tracking_uri(root))
        deadline = 200
        while not any(name.startswith("system/") for name in client.get_run(run).data.metrics) and deadline:
            deadline -= 1
            signal.sigtimedwait([], 0.1)
        Written(root).tokenizer()
    found = client.get_run(run).data.metrics
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"} <= set(found)


def test_a_failing_training_ends_failed(root: Path) -> None:
    with pytest.raises(ValueError, match="out of memory"):
        train(fail=True)
    (run,) = children_of(root).to_dict("records")
    assert (run["status"], run["tags"]["hmu.error"]) == ("FAILED", "out of memory")


def test_a_killed_training_is_settled_by_the_mirror(root: Path) -> None:
    mlflow_store.side_folder(root).mkdir(parents=True)
    assert runs_of(root).empty  # and so the store is there, which the process would take seconds to make
    record = "from hmu_tasks.tracking.steps import recorded\nwith recorded():\n"
    code = record + "".join(f"    {line}\n" for line in KILLED.splitlines())
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        text=True,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    assert set(runs_of(root)["status"]) == {"RUNNING"}
    assert mirror.run().written == 0
    process.send_signal(signal.SIGKILL)
    process.communicate()
    mirror.run()
    (run,) = children_of(root)["status"]
    assert run == "KILLED"
    assert set(runs_of(root)["status"]) == {"KILLED", "FAILED"}


def test_a_store_that_cannot_be_reached_costs_one_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    train()
    told = capsys.readouterr().err
    assert told.startswith("warning: no live curves in MLflow, the training goes on: ")
    assert len(told.splitlines()) == 1
    assert "secret" not in told
    assert (paths.LIVE / "tokenizer-full-0.csv").read_text() == HISTORY
