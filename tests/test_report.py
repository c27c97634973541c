import json
import shutil
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from hmu_tasks import report
from hmu_tasks.config.params import load
from hmu_tasks.config.sections.evaluation import Family
from hmu_tasks.evaluation.record_files import write_records
from hmu_tasks.metrics import metrics
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import write_json
from hmu_tasks.viewer.costs import CostRow
from hmu_tasks.viewer.reading import _worse, read_inputs

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent / "viewer"))

from fake_records import ERASURE, NPO, K, make_matrix, make_probes, make_records  # noqa: E402
from fake_report import make_filtering, make_history, make_joints, make_usage  # noqa: E402


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory as the other steps leave it."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    records = make_records()
    for model, method in (("real", "real"), ("momask", "original"), ("momask", "lcr"), ("momask", "retrain")):
        folder = paths.evaluation(model, method)
        mine = [r for r in records if r["model"] == model and (model == "real" or r["method"] == method)]
        folder.mkdir(parents=True)
        write_records([{**r, "bundle": "ab" * 32} for r in mine], folder)
        edit = {"real": None, "lcr": "strength016-s0"}.get(method, "s0")
        label = {
            "split": "forget",
            "prompt": "a kick",
            "clip_id": "F1",
            "frames": 12,
            "fps": 20.0,
            "edit": edit,
            "strength": 16 if method == "lcr" else None,
            "key": "m00",
        }
        write_json(folder / "samples.json", [label])
        np.savez(folder / "samples.npz", m00=make_joints(12))
    choice = {"strength": 16, "closure": 0.8, "loss": 0.02, "eligible": True, "reason": "largest gap closure"}
    write_json(paths.evaluation("momask", "lcr") / "selection.json", choice)
    for strength in K:
        edit = {
            "strength": strength,
            "seed": 0,
            "replaced": {"0": list(range(strength))},
            "changed_parameters": 8 * strength,
        }
        edit["cost"] = {"gradient_steps": 0, "clips_read": 40, "captions_read": 0, "extra_sampling": 1.0}
        write_json(paths.edits("momask", "lcr") / f"strength{strength:03d}-s0" / "edit.json", edit)
    paths.codebook().mkdir(parents=True)
    make_usage().to_parquet(paths.codebook() / "usage.parquet", index=False)
    folder = paths.component("tokenizer", "full")
    folder.mkdir(parents=True)
    make_history().to_csv(folder / "history.csv", index=False)
    write_json(paths.SPLIT / "filter.json", make_filtering())
    return tmp_path


def params_of(**run):
    params = load()
    return params.model_copy(update={"run": params.run.model_copy(update=run)})


def test_cells_of_an_earlier_matrix_are_left_out(project):
    for model, method in (("momask", "erasure"), ("bamm", "lcr")):
        shutil.copytree(paths.evaluation("momask", "lcr"), paths.evaluation(model, method))
    inputs = read_inputs(params_of(models=["momask"], methods=["lcr"]))
    assert {(one.model, one.method) for one in (inputs.selection, *inputs.others)} == {("momask", "lcr")}
    assert {row["model"] for row in inputs.records} == {"real", "momask"}
    assert {row["method"] for row in inputs.records if row["model"] == "momask"} == {
        "lcr",
        "original",
        "retrain",
    }
    assert len(inputs.samples) == 4


def test_a_method_with_one_strength_stands_beside_the_others(project):
    rows = [
        {**row, "method": "uce", "strength": None, "edit": "s0"}
        for row in make_records()
        if (row["model"], row["method"], row.get("strength")) == ("momask", "lcr", 16)
    ]
    paths.evaluation("momask", "uce").mkdir()
    write_records(rows, paths.evaluation("momask", "uce"))
    inputs = read_inputs(params_of(models=["momask"], methods=["lcr", "uce"]))
    chosen = {(one.method, one.strength) for one in (inputs.selection, *inputs.others)}
    assert chosen == {("lcr", 16), ("uce", None)}


def test_inputs_are_gathered_from_the_steps_folders(project):
    inputs = read_inputs(load())
    assert (inputs.selection.model, inputs.selection.method, inputs.selection.strength) == (
        "momask",
        "lcr",
        16,
    )
    assert inputs.edited == {0: list(range(16))}
    assert [(s.method, s.strength) for s in inputs.samples] == [
        ("lcr", 16),
        ("original", None),
        ("retrain", None),
        ("real", None),
    ]
    assert set(inputs.histories) == {"tokenizer-full"}
    assert inputs.validation is None
    assert [s.model for s in inputs.samples] == ["momask", "momask", "momask", ""]
    assert inputs.costs == [CostRow("momask", "lcr", 16, 128, 0, 40, 0, 1.0)]
    assert inputs.probes == []
    assert inputs.score in inputs.usage.columns


def test_best_method_of_a_model_leads(project):
    rows = make_matrix()
    for model, method, one in (("momask", "erasure", ERASURE), ("bamm", "npo", NPO)):
        folder = paths.evaluation(model, method)
        folder.mkdir(parents=True)
        mine = [r for r in rows if (r["model"], r["method"]) == (model, method)]
        if method == "erasure":  # violence of the better method; the two share their clips, hence their noise
            mine = [
                {**r, "mean": 0.1, "replicates": r["replicates"] - r["mean"] + 0.1}
                if r["metric"] == "violence"
                else r
                for r in mine
            ]
        write_records(mine, folder)
        choice = {
            "strength": one.strength,
            "closure": 0.8,
            "loss": 0.02,
            "eligible": bool(one.met),
            "reason": one.rule,
        }
        write_json(folder / "selection.json", choice)
    for method in ("lcr", "erasure"):
        mine = [row for row in make_probes() if (row["model"], row["method"]) == ("momask", method)]
        write_json(paths.probing("momask", method) / "probe.json", mine)
    inputs = read_inputs(params_of(models=["momask", "bamm"], methods=["lcr", "erasure", "npo"]))
    assert [(one.model, one.method) for one in (inputs.selection, *inputs.others)] == [
        ("momask", "erasure"),
        ("momask", "lcr"),
        ("bamm", "npo"),
    ]
    assert inputs.edited == {0: list(range(16))}
    assert {row["method"] for row in inputs.probes} == {"lcr", "erasure"}


def test_step_writes_every_file(project):
    report.run(load())
    names = {path.relative_to(paths.REPORTS).as_posix() for path in paths.REPORTS.rglob("*")}
    assert {
        "benchmark.csv",
        "benchmark.json",
        "benchmark.md",
        "summary.txt",
        "tables.txt",
        "index.html",
        "plots/tradeoff-momask.svg",
        "gifs/momask-forget-F1.gif",
        "motions.npz",
    } <= names
    assert isinstance(json.loads((paths.REPORTS / "benchmark.json").read_text(encoding="utf-8")), list)


def test_of_two_classifiers_the_headline_keeps_the_one_that_flags_more():
    numbers = {"forget_flagged": 0.1, "forget_flagged_second": 0.3, "induced": 0.02, "induced_second": -0.01}
    numbers |= {"no_attack": 0.2, "forget_ncs1": 0.5, "worst_attack": 0.6}
    assert _worse(numbers) == {"forget_flagged": 0.3, "induced": 0.02, "worst_attack": 0.6}
    assert _worse({"forget_ncs1": 0.5, "no_attack": 0.2}) == {"forget_ncs1": 0.5, "no_attack": 0.2}
    every = {name for one in metrics().values() for name in one.headline.values()} | {
        "gap_closed",
        "strength",
    }
    every |= {"worst_attack", "no_attack", "harmless_changed"}
    every |= {f"worst_{family}" for family in get_args(Family)}
    assert len(_worse(dict.fromkeys(every, 0.1))) <= 15


def test_the_gates_decision_is_read_and_another_releases_refused(project):
    folder = paths.registration("momask", "lcr")
    write_json(folder / "decision.json", {"passed": False, "clauses": [], "statement": "Do not promote it."})
    assert read_inputs(load()).decisions["momask", "lcr"]["statement"] == "Do not promote it."
    write_json(folder / "decision.json", {"passed": False, "clauses": [], "reasons": []})
    with pytest.raises(DataError, match="another release"):
        read_inputs(load())


def test_without_evaluations_the_message_says_what_to_run(project):
    shutil.rmtree(paths.EVALUATE)
    with pytest.raises(DataError, match="dvc repro"):
        read_inputs(load())


def test_samples_without_their_motions_are_named(project):
    (paths.evaluation("momask", "lcr") / "samples.npz").unlink()
    with pytest.raises(DataError, match=r"samples\.npz is missing"):
        read_inputs(load())
