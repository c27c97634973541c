"""The mirror: runs from files, once per output, below the pipeline run that made them."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from mirrored_project import attempt, root
from tiny_world import tiny_params
from written_project import HISTORY, Written, children_of, curve, runs_of, write_params

from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import write_json
from hmu_tasks.tracking import lineage, mirror
from hmu_tasks.tracking.content import Finished, content_of
from hmu_tasks.tracking.steps import record_file

__all__ = ["root"]
# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


def test_children_share_one_parent_and_show_what_the_files_hold(root: Path) -> None:
    project = Written(root)
    digest = project.tokenizer()
    project.evaluation()
    assert mirror.run().written == 3
    runs = runs_of(root)
    (parent,) = runs[runs["parent"].isna()].to_dict("records")
    children = children_of(root)
    assert set(children["parent"]) == {parent["id"]}
    assert set(runs["status"]) == {"FINISHED"}
    assert parent["tags"]["hmu.pipeline"].startswith("lock-")
    assert parent["tags"]["mlflow.source.name"] == "dvc repro"
    assert parent["metrics"] == {"gap_closed/lcr momask": 0.5}
    assert {"evaluate.repeats": "2", "train.tokenizer.steps": "4"}.items() <= parent["params"].items()
    by_step = {run["step"]: run for run in children.to_dict("records")}
    training = by_step["train"]
    assert training["name"] == "tokenizer-full"
    own = {"steps": "4", "sizes": "[1, 2]", "train.tokenizer.seed": "7"}
    assert training["params"] == {"seed": "3", "mode": "scratch", **own}
    assert training["metrics"] == {
        "loss": 1.5,
        "validation": 0.25,
        "train/loss": 1.5,
        "train/validation": 0.25,
    }
    assert curve(root, training["id"], "train/loss") == [(2, 2.0), (4, 1.5)]
    tags = training["tags"]
    assert (tags["component"], tags["variant"]) == ("tokenizer", "full")
    assert (tags["hmu.stage"], tags["hmu.output"]) == ("train-tokenizer@full-0", digest)
    assert tags["hmu.input.data/clips"] == tags["hmu.data"] == project.stages["ingest"]["outs"][0]["md5"]
    assert "hmu.input.hmu_tasks/train.py" not in tags
    stored = root / "runs/side/mlflow/artifacts" / training["id"] / "artifacts"
    assert [path.name for path in stored.iterdir()] == ["config.json"]
    evaluation = by_step["evaluate"]
    assert evaluation["name"] == "lcr momask"
    assert curve(root, evaluation["id"], "forget/fid") == [(2, 2.0), (4, 5.0)]
    assert {"dataset": "synthetic", "concept": "violence", "model": "momask", "method": "lcr"}.items() <= (
        evaluation["tags"].items()
    )
    assert by_step["ingest"]["metrics"] == {"clips": 40.0, "splits.train": 30.0}
    assert all(len(run["tags"]["mlflow.note.content"]) > 40 for run in runs.to_dict("records"))


def test_what_stands_beside_real_motions_has_names_of_its_own(root: Path) -> None:
    from hmu_tasks.tracking.content import Finished, content_of

    rows = [
        {"split": "forget", "metric": "fid", "method": method, "strength": None, "mean": mean}
        for method, mean in (("real", 0.0), ("reconstruction-full", 2.0))
    ]
    rows.append({"split": "forget", "metric": "ncs10", "method": "real", "strength": None, "mean": 1.0})
    folder = Path("runs/evaluate/real/real")
    folder.mkdir(parents=True)
    write_json(folder / "metrics.json", rows)
    one = Finished("evaluate-real", "evaluate", ("real", "real"), folder, "d", {})
    assert content_of(one).points == [("forget/fid", 0, 0.0), ("reconstruction-full/forget fid", 0, 2.0)]


def test_nothing_is_written_twice(root: Path) -> None:
    project = Written(root)
    project.tokenizer()
    assert mirror.run().written == 2
    assert mirror.run().written == 0
    paths.MIRRORED.unlink()  # the store itself knows
    assert mirror.run().written == 0
    project.tokenizer("step,name,value\n2,loss,7\n")
    assert mirror.run().written == 1
    assert list(children_of(root)["step"]).count("train") == 2
    project.tokenizer()  # restored from the cache
    assert mirror.run().written == 0
    assert len(children_of(root)) == 3


def test_stages_lie_below_the_pipeline_run_that_made_them(root: Path) -> None:
    project = Written(root)
    project.tokenizer()
    attempt("train-tokenizer@full-0", pipeline="dvc-host-1", start=1e9)
    attempt("ingest", pipeline="dvc-host-1", start=1e9 - 10)
    os.environ[lineage.PIPELINE_VARIABLE] = "prefect-2"
    try:
        project.evaluation()
        mirror.run()
    finally:
        del os.environ[lineage.PIPELINE_VARIABLE]
    runs = runs_of(root)
    parents = runs[runs["parent"].isna()].set_index("id")
    keys = {
        run["step"]: parents.loc[run["parent"], "tags"]["hmu.pipeline"]
        for run in children_of(root).to_dict("records")
    }
    assert keys == {"ingest": "dvc-host-1", "train": "dvc-host-1", "evaluate": "prefect-2"}
    (training,) = (run for run in children_of(root).to_dict("records") if run["step"] == "train")
    assert (training["start"], training["end"]) == (1_000_000_000_000, 1_000_000_002_000)
    assert training["metrics"]["seconds"] == 2.0
    made = parents[[tags["hmu.pipeline"] == "dvc-host-1" for tags in parents["tags"]]].iloc[0]
    assert (made["start"], made["end"]) == (999_999_990_000, 1_000_000_002_000)


def test_a_failed_and_a_killed_attempt_are_shown_once_and_a_repeat_mends_the_parent(root: Path) -> None:
    project = Written(root)
    attempt("train-tokenizer@full-0", status="FAILED", start=1e9)
    attempt("ingest", status="RUNNING", start=1e9 - 10)  # of a process that is gone
    assert mirror.run().written == 2
    assert mirror.run().written == 0
    runs = runs_of(root)
    assert dict(zip(runs["step"], runs["status"], strict=True)) == {
        "pipeline": "FAILED",
        "ingest": "KILLED",
        "train": "FAILED",
    }
    project.tokenizer()
    attempt("train-tokenizer@full-0", start=1e9 + 10)
    attempt("ingest", start=1e9 + 5)
    assert mirror.run().written == 2
    runs = runs_of(root)
    assert sorted(runs["status"]) == ["FAILED", "FINISHED", "FINISHED", "FINISHED", "KILLED"]
    assert runs[runs["parent"].isna()].iloc[0]["status"] == "FINISHED"


def test_a_step_that_runs_is_left_alone(root: Path) -> None:
    attempt("ingest", status="RUNNING")
    record = json.loads(record_file("ingest").read_text())
    record["tags"]["hmu.process"] = lineage.process_identity(os.getpid())
    write_json(record_file("ingest"), record)
    assert mirror.run().written == 0
    assert not (root / "runs/side/mlflow/mlflow.db").exists()


def test_outputs_that_are_not_here_or_not_those_of_the_lock_wait(root: Path) -> None:
    project = Written(root)
    digest = project.tokenizer()
    kept = root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    kept.parent.mkdir(parents=True)
    files = {
        name: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        for name, text in (("config.json", "{}\n"), ("history.csv", HISTORY))
    }

    def cached(**changes: str) -> None:
        """DVC's list of the files of a folder."""
        listed = [{"relpath": name, "md5": md5} for name, md5 in {**files, **changes}.items()]
        kept.write_text(json.dumps(listed), encoding="utf-8")

    cached(**{"history.csv": "another"})
    (root / "data/clips/ingest.json").unlink()
    assert mirror.run() == mirror.Outcome(written=0, skipped=2)
    assert not (root / "runs/side/mlflow/mlflow.db").exists()
    project.clips()
    cached()
    assert mirror.run().written == 2


def test_what_cannot_be_read_is_named_and_left_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Written(root)
    project.stage("own", "report", "notes", {"a.txt": "a stage that is not mirrored"})
    project.stages["own"]["cmd"] = "make notes"
    project.stage(
        "probe@momask-lcr-0",
        "probe momask lcr --training 0",
        "runs/probe/0/momask/lcr",
        {"probe.json": '[{"a": 1}]'},
    )
    project.evaluation()
    assert mirror.run().written == 1
    assert "MLflow does not get runs/probe/0/momask/lcr" in capsys.readouterr().err


def test_switched_off_it_touches_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    Written(root).tokenizer()
    write_params(root, track=False)
    before = sorted(root.rglob("*"))
    assert mirror.run().written == 0
    assert sorted(root.rglob("*")) == before


def test_an_unreachable_store_is_said_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    Written(root).tokenizer()
    with pytest.raises(HmuError, match="Connection refused") as caught:
        mirror.run()
    assert "secret" not in str(caught.value)
    assert not paths.MIRRORED.exists()


def test_another_store_gets_everything(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Written(root).tokenizer()
    assert mirror.run().written == 2
    other = root.parent / "elsewhere" / "runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    assert mirror.run().written == 2
    assert other.exists()


def test_the_content_of_what_steps_write(world: Path) -> None:
    """Names, metrics, curves and artifacts of real outputs."""
    knobs = {f"run.{name}": value for name, value in tiny_params().run.model_dump().items()}

    def content(step: str, arguments: tuple[str, ...], output: Path):  # type: ignore[no-untyped-def]
        return content_of(Finished("stage", step, arguments, output, "digest", knobs))

    assert content("ingest", (), paths.CLIPS).metrics["clips"] == 72.0
    assert content("filter", (), paths.SPLIT).name == "violence"
    assert content("codebook", (), paths.codebook()).metrics["layers"] == 2.0
    training = content("train", ("base-momask", "retrain"), paths.component("base-momask", "retrain"))
    assert training.tags == {"component": "base-momask", "variant": "retrain"}
    assert {name for name, _, _ in training.points} == {f"train/{name}" for name in training.metrics}
    unlearning = content("unlearn", ("momask", "lcr"), paths.edits("momask", "lcr"))
    assert unlearning.metrics == {"edits": 2}
    assert sorted(folder or "" for _, folder in unlearning.artifacts) == ["strength000-s0", "strength002-s0"]
    evaluation = content("evaluate", ("momask", "lcr"), paths.evaluation("momask", "lcr"))
    assert {step for name, step, _ in evaluation.points if name == "forget-val/fid"} == {0, 2}
    assert [path.name for path in evaluation.files] == ["metrics.json", "selection.json", "headline.json"]
    assert {"headline/forget_fid", "headline/strength"} <= set(evaluation.metrics)
    real = content("evaluate", ("real", "real"), paths.evaluation("real", "real"))
    assert real.name == "real real"
    assert len(real.points) > 10


def test_a_lock_that_was_touched_is_no_news(root: Path) -> None:
    project = Written(root)
    project.tokenizer()
    mirror.run()
    project.lock()
    with (root / "dvc.lock").open("a", encoding="utf-8") as lock:
        lock.write("# a comment\n")
    started = time.monotonic()
    assert mirror.run().written == 0
    assert time.monotonic() - started < 5
