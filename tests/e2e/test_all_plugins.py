"""All four worked examples of docs/extending.md in one copy of the project: their cell, from raw files to report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from extended import extend, project_copy, run
from tiny_world import tiny_params

from hmu_tasks import ingest
from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.models.networks import weights
from hmu_tasks.runtime import paths

pytestmark = pytest.mark.slow

EVERY_STEP = """
from hmu_tasks import codebook, evaluate, ingest, probe, report, train, unlearn, validate
from hmu_tasks import filter as divide

changes = YAML(typ="safe").load(Path("section.yaml").read_text())
changes["ingest"]["on_bad"] = "skip"  # of frames, the joints of a clip give one less
changes["run"] |= {"models": ["mlp"], "methods": ["dropping"]}
changes["train"] = {"base": {"mlp": {"hidden": 16, "steps": 4, "batch": 8}}}
changes["unlearn"] = {"dropping": {"strengths": [0, 50]}}
changes["validate"] = {"forget_share": [0.1, 0.6]}
knobs = tiny_params(changes)
ingest.run(knobs)
divide.run(knobs)
validate.run(knobs)
for component in ("tokenizer", "text", "evaluator", "base-mlp", "classifier"):
    for variant in (None,) if component in train.UNVARIED else train.VARIANTS:
        train.run(knobs, component, variant)
codebook.run(knobs)
for method in ("original", "retrain", "dropping"):
    unlearn.run(knobs, "mlp", method)
evaluate.run(knobs, "real", "real")
for method in ("original", "retrain", "dropping"):
    evaluate.run(knobs, "mlp", method)
    probe.run(knobs, "mlp", method)
report.run(knobs)
"""


def write_raw(folder: Path) -> None:
    """Write the clips of the embedded benchmark as the example's dataset has them: joints and captions."""
    ingest.run(tiny_params())
    clips = packed.load(paths.CLIPS)
    captions = clips.captions.groupby("clip_id")["caption"].agg(list)
    for split in SPLITS:
        (folder / split).mkdir(parents=True)
        for clip in clips.ids(split):
            joints = np.asarray(to_joints(clips.features(clip)))
            np.savez(folder / split / f"{clip}.npz", joints=joints, captions=np.array(captions[clip]))


def test_the_examples_of_the_docs_work_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, root = tmp_path / "source", tmp_path / "extended"
    for folder in (source, root):
        folder.mkdir()
    monkeypatch.chdir(source)
    write_raw(root / "data/raw/joints")
    monkeypatch.chdir(root)
    project_copy(root)
    pages = [f"extending-{kind}.md" for kind in ("method", "model", "metric", "dataset")]
    sections = [extend(root, page) for page in pages]
    (root / "section.yaml").write_text(sections[-1], encoding="utf-8")
    run(EVERY_STEP, root)
    original = paths.edits("mlp", "original") / "s0"
    same, half = (paths.edits("mlp", "dropping") / f"strength{number:03d}-s0" for number in (0, 50))
    assert weights.digest(same / "mlp") == weights.digest(original / "mlp")
    edit = json.loads((half / "edit.json").read_text(encoding="utf-8"))
    assert edit["edited"] == ["mlp.cond_emb.weight"]
    before, after = (weights.load_state(folder / "mlp")["cond_emb.weight"] for folder in (original, half))
    kept = after != 0
    assert 0.3 < kept.float().mean() < 0.7
    assert (after[kept] == before[kept]).all()
    records = pd.read_csv(paths.REPORTS / "benchmark.csv")
    assert set(records["dataset"]) == {"joints"}
    assert set(records["model"]) == {"mlp", "real"}
    assert {"original", "retrain", "dropping"} <= set(records["method"])
    speeds = records[records["metric"] == "root_speed"]
    assert {"forget", "retain"} <= set(speeds["split"])
    assert (speeds["mean"] > 0).all()
    summary = (paths.REPORTS / "tables.txt").read_text(encoding="utf-8")
    (head,) = [line for line in summary.splitlines() if line.startswith("motion quality")]
    assert "speed → D_r" in head
    page = (paths.REPORTS / "index.html").read_text(encoding="utf-8")
    for shown in ("MLP", "dropped weights", "--method-dropping: #a65628;", ">speed<small>→ D<sub>r</sub>"):
        assert shown in page, shown
