"""Two processes under torchrun train as one does with the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_world import ROOT

TRAINING = """
import json, sys
from pathlib import Path
import numpy as np
import torch
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.t2mgpt_base import T2mGptConfig, T2mGptTransformer
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import Schedule, fit
from hmu_tasks.training.loop.processes import first, joined, processes
from hmu_tasks.training.loop.transformers import fixed_code_loss

CPU = torch.device("cpu")
sizes = dict(codes=20, code_width=12, latent=16, layers=2, heads=2, feedforward=32, dropout=0.0, text_width=6)
rng = np.random.default_rng(0)
codes = [rng.integers(0, 20, size=(tokens, 4)) for tokens in rng.integers(3, 30, 21)]
rows = {str(i): torch.from_numpy(rng.standard_normal((1, 6)).astype(np.float32)) for i in range(21)}
networks = {
    "momask": lambda: MaskTransformer(MaskTransformerConfig(**sizes), seed=1),
    "bamm": lambda: BammTransformer(BammConfig(**sizes), seed=1),
    "t2mgpt": lambda: T2mGptTransformer(T2mGptConfig(**sizes), seed=1),
    "residual": lambda: ResidualTransformer(ResidualTransformerConfig(**sizes, quantizers=4), seed=1),
    "two layers": lambda: ResidualTransformer(ResidualTransformerConfig(**sizes, quantizers=2), seed=1),
}
out = Path(sys.argv[1])
with joined(CPU):
    found = {"processes": processes()}
    for name, make in networks.items():
        network = make()
        shown = [c[:, :2] for c in codes] if name == "two layers" else codes
        known = CodeSet(shown, [[str(i)] for i in range(21)], rows)
        options = dict(schedule=Schedule(12, 7, 1e-2, evaluate_every=1), seed=3, device=CPU)
        place = out.with_name(f"{out.stem}-{name}.pt")
        trained = fit(network, fixed_code_loss(network, known, CPU), known.tokens, checkpoint=place, **options)
        found[name] = trained.history.rows
        found[f"{name} weights"] = float(sum(p.abs().sum() for p in network.parameters()).detach())
    if processes() > 1:
        try:
            fit(network, lambda *_: None, known.tokens, **options)
        except ConfigError as error:
            found["refused"] = str(error)
    if first():
        assert not out.exists()
        out.write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_the_loss_is_that_of_one_process_with_the_summed_batch(tmp_path: Path) -> None:
    script = tmp_path / "training.py"
    script.write_text(TRAINING)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found = []
    for name, start in (("one", [sys.executable]), ("two", torchrun)):
        place = tmp_path / f"{name}.json"
        subprocess.run([*start, str(script), str(place)], env=environment, check=True, cwd=tmp_path)
        found.append(json.loads(place.read_text()))
    one, two = found
    assert (one["processes"], two["processes"]) == (1, 2)
    assert "without torchrun" in two["refused"]
    for name in ("momask", "bamm", "t2mgpt", "residual", "two layers"):
        assert len(one[name]) == 24
        for expected, row in zip(one[name], two[name], strict=True):
            assert row[:2] == expected[:2]
            # Accuracies count tokens: an equal score may go either way in the last digit.
            assert row[2] == pytest.approx(expected[2], rel=1e-3, abs=0.02 if row[1] == "accuracy" else 0)
        assert two[f"{name} weights"] == pytest.approx(one[f"{name} weights"], rel=1e-4)
        losses = [value for _, key, value in one[name] if key == "loss"]
        assert losses[-1] < losses[0]
