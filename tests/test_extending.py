"""What single worked examples of docs/extending-*.md promise beyond their cell (tests/e2e/test_all_plugins.py)."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from extended import extend, project_copy, run
from modules import ROOT

from hmu_tasks.data.clips import packed
from hmu_tasks.data.motion.recovery import to_joints

MODEL = """
from hmu_tasks import codebook, evaluate, ingest, probe, train, unlearn
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.methods import METHODS
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.training.pretrained import importer
import torch

small = {"base": {"mlp": {"steps": 4, "batch": 8}}}
knobs = tiny_params({"run": {"models": ["mlp"], "methods": ["lcr"]}, "train": small})
train.run(knobs, "base-mlp", "full")
train.run(knobs, "base-mlp", "retrain")
refused = {}
for method in ("original", "retrain", *METHODS):
    try:
        unlearn.run(knobs, "mlp", method)
    except ConfigError as error:
        refused[method] = str(error)
bundle = load_bundle(paths.edits("mlp", "original") / "s0", torch.device("cpu"))
text = padded(bundle.text.encode(["a person kicks", "a person walks in a circle"]))
generator = torch.Generator().manual_seed(0)
motions = bundle.model.generate(text, [40, 64], sampling=Sampling(), generator=generator)
index = json.loads((paths.edits("mlp", "original") / "s0" / "bundle.json").read_text())
edit = json.loads((paths.edits("mlp", "retrain") / "s0" / "edit.json").read_text())
npo = [json.loads(path.read_text()) for path in sorted(paths.edits("mlp", "npo").glob("*/edit.json"))]
for method in ("original", "retrain", "lcr"):
    evaluate.run(knobs, "mlp", method)
probe.run(knobs, "mlp", "lcr")
rows = json.loads((paths.probing("mlp", "lcr") / "probe.json").read_text())
print(json.dumps({
    "shapes": [m.shape for m in motions],
    "finite": all(bool((m == m).all()) for m in motions),
    "importers": [importer(knobs, f"base-{name}", "full") is not None for name in ("mlp", "momask")],
    "revived": [row["inapplicable"] for row in rows if row["attack"] == "revival-predicted"],
    "parts": sorted(index["components"]),
    "changed": edit["changed"],
    "refused": refused,
    "steps": [one["cost"]["gradient_steps"] for one in npo],
    "untouched": [one["untouched_components"] for one in npo][-1],
    "attacks": sorted({row["attack"] for row in rows}),
}))
"""


@pytest.mark.slow
def test_a_model_that_is_no_transformer(world: Path) -> None:
    project_copy(world)
    extend(world, "extending-model.md")
    found = json.loads(run(MODEL, world).splitlines()[-1])
    assert found["shapes"] == [[40, 263], [64, 263]]
    assert found["finite"]
    assert list(found["refused"]) == ["refusal"]
    assert "edits transformer layers, and Mlp has none" in found["refused"]["refusal"]
    assert found["importers"] == [False, True]
    assert found["revived"] == ["no row of the codebooks is an outlier"]
    assert found["parts"] == ["mlp", "text", "tokenizer"]
    assert found["changed"] == "every tensor of tokenizer and mlp"
    assert found["steps"] == [0, 1, 3]
    assert found["untouched"] == ["text", "tokenizer"]
    assert {
        "gradient-0.5",
        "closed-form-0.5",
        "context",
        "revival-predicted",
        "relearning-2x1",
        "bf16",
    } <= set(found["attacks"])


DATASET = """
from hmu_tasks import ingest
from hmu_tasks.runtime import paths

changes = YAML(typ="safe").load(Path("section.yaml").read_text())
report = ingest.run(tiny_params(overlaid(changes | {"ingest": changes["ingest"] | {"on_bad": "skip"}}, {})))
print(json.dumps({"splits": report.packed.splits, "skipped": [(one.id, one.reason) for one in report.skipped]}))
"""


def test_a_dataset_of_joints(finished: Path, tmp_path: Path) -> None:
    known = packed.load(finished / "data" / "clips")
    raw = tmp_path / "data" / "raw" / "joints"
    for split, count in (("train", 4), ("val", 2), ("test", 1)):
        (raw / split).mkdir(parents=True)
        for clip in known.ids(split)[:count]:
            joints = np.asarray(to_joints(known.features(clip)))
            captions = np.array(["someone walks", "a person walks"])
            np.savez(raw / split / f"{clip}.npz", joints=joints, captions=captions)
    np.savez(raw / "train" / "short.npz", joints=joints[:20], captions=captions)
    (raw / "val" / "zz.npz").write_bytes(b"no archive")
    project_copy(tmp_path)
    section = extend(tmp_path, "extending-dataset.md")
    (tmp_path / "section.yaml").write_text(section, encoding="utf-8")
    found = json.loads(run(DATASET, tmp_path).splitlines()[-1])
    assert found["splits"] == {"train": 4, "val": 2, "test": 1}
    assert found["skipped"] == [["train-short", "too short"], ["val-zz", "bad motion"]]
    clips = packed.load(tmp_path / "data" / "clips")
    assert len(clips.captions) == 14
    name = known.ids("val")[0]
    ours, theirs = clips.features(f"val-{name}"), known.features(name)
    np.testing.assert_allclose(ours[:, 4:67], theirs[: len(ours), 4:67], atol=1e-3)
    assert (clips.table["fps"] == 20.0).all()


@pytest.mark.parametrize("module", ["hmu_tasks.config.params", "hmu_tasks.data.datasets", "hmu_tasks.models"])
def test_descriptors_load_light(module: str) -> None:
    """Every descriptor, and params.yaml checked against them, without numpy and torch."""
    script = f"""
import sys, {module}
from hmu_tasks.config import params
from hmu_tasks.data.datasets import DATASETS, dataset_named
from hmu_tasks.models import MODELS, model_named
params.load()
assert [dataset_named(name).name for name in DATASETS] and [model_named(name).label for name in MODELS]
print(sorted({{"numpy", "torch", "pandas", "scipy"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
