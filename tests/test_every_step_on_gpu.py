"""All steps on a CUDA device: no tensor is left behind on the other side, and the files are read on a CPU."""

import json
from pathlib import Path

import pytest
import torch
from tiny_world import run_every_step, tiny_params

from hmu_tasks import evaluate, probe, train, unlearn
from hmu_tasks.methods import METHODS
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.runtime import paths

DEVICE = "cuda"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_step_runs_on_cuda_and_leaves_files_for_any_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every method on MoMask, the other models' originals, and every attack on one edit."""
    monkeypatch.chdir(tmp_path)
    models = ["momask", "bamm", "t2mgpt"]
    knobs = tiny_params({"run": {"device": DEVICE, "methods": [*METHODS], "models": models}})
    run_every_step(knobs)
    for model in models[1:]:
        train.run(knobs, f"base-{model}", "full")
        unlearn.run(knobs, model, "original")
        evaluate.run(knobs, model, "original")
    for method in ("original", "lcr"):
        probe.run(knobs, "momask", method)
    found = json.loads((paths.probing("momask", "lcr") / "probe.json").read_text(encoding="utf-8"))
    assert {row["family"] for row in found} >= {"text", "embedding", "context", "weights", "precision"}
    for method in METHODS:
        edits = sorted(paths.edits("momask", method).glob("strength*"))
        assert len(edits) >= 2
        for edit in edits:
            bundle = load_bundle(edit, torch.device("cpu"))
            assert bundle.text.encode(["a man kicks"])[0].isfinite().all()
