"""All steps on a CUDA device: no tensor is left behind on the other side, and the files are read on a CPU."""

from pathlib import Path

import pytest
import torch
from tiny_world import run_every_step, tiny_params

from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.runtime import paths


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_step_runs_on_cuda_and_leaves_files_for_any_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_every_step(tiny_params({"run": {"device": "cuda"}}))
    bundle = load_bundle(paths.edits("momask", "lcr") / "strength002-s0", torch.device("cpu"))
    assert bundle.text.encode(["a man kicks"])[0].isfinite().all()
