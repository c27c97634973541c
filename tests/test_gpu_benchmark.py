"""benchmarks/gpu.py runs at toy size on a CPU; what it says of a GPU needs one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_world import ROOT, tiny_params

from hmu_tasks.config.params import parse

FOLDER = ROOT / "benchmarks"
PRESET = "10 captions, the preset's batch"
SAMPLED = ("196 frames", f"{PRESET}, first run", f"{PRESET}, later runs")


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import gpu

    return gpu


def lines_of(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith("| ") and "| –" in line]


@pytest.mark.parametrize(
    ("section", "work"),
    [
        ("sample", [f"{model}, {work}" for model in ("MoMask", "BAMM") for work in SAMPLED]),
        ("encode", ["codes of 6 clips"]),
        ("evaluate", ["embedding", "joints"]),
        ("figures", ["FID", "FID, for", "KID", "KID, for", "R@1", "NCS of", "jerk", "skating", "bootstrap"]),
        ("scatter", ["tokenizer, 12 steps", "base, 12 steps", "residual, 12 steps"]),
    ],
)
def test_a_section_measures_at_toy_size(
    section: str, work: list[str], scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "table.md"
    monkeypatch.setattr(
        sys, "argv", ["gpu.py", "--toy", "--device", "cpu", "--only", section, "--write", str(place)]
    )
    scripts.main()
    found = lines_of(place.read_text(encoding="utf-8"))
    assert len(found) == len(work)
    assert all(part in line for part, line in zip(work, found, strict=True))


def test_the_first_run_and_later_ones_are_measured_apart(
    scripts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run costs 10 s as long as nothing is recorded, which the second run does, and then 1 s."""
    from gpu_bench import TOY, Bench

    clock = [0.0]
    runs = []

    def work() -> None:
        runs.append(len(runs))
        clock[0] += 10.0 if len(runs) <= 2 else 1.0

    bench = Bench(TOY, torch.device("cpu"))
    monkeypatch.setattr(bench, "now", lambda: clock[0])
    assert bench.cold_and_warm(work) == {"first run": 10.0, "later runs": 1.0}


@pytest.mark.slow
def test_training_is_measured_plain_and_compiled() -> None:
    """A process of its own: torch's compiler changes the one that loads it."""
    command = [sys.executable, str(FOLDER / "gpu.py"), "--toy", "--device", "cpu", "--only", "train"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    works = [f"{name} training" for name in ("tokenizer", "base", "residual", "BAMM base")]
    wanted = [f"{work}{way}" for work in works for way in (", plain steps", ", torch.compile")]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines_of(done.stdout)] == wanted


@pytest.mark.slow
def test_stages_are_watched_and_a_cell_is_timed(
    scripts: Any, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gpu_stages
    from gpu_bench import TOY, Bench

    cpu = torch.device("cpu")
    bench = Bench(TOY, cpu)
    values = tiny_params().model_dump(mode="json", by_alias=True)
    assert gpu_stages._cell(bench, values) > 0
    monkeypatch.setattr(gpu_stages, "STAGES", ("ingest", "filter"))
    monkeypatch.setattr(gpu_stages, "_cell", lambda *_: 1.0)
    gpu_stages.stages(bench)
    (ingest, _, seconds, unit), (split, *_), (cell, *_) = bench.rows
    assert ingest.startswith("stage ingest, 0.")
    assert ingest.endswith("GiB of the host")
    assert 0 < seconds < 60
    assert (unit, split[:12]) == ("s", "stage filter")
    assert cell == "a cell of the evaluation after start-up"
    monkeypatch.setattr(gpu_stages, "STAGES", ("codebook",))
    with pytest.raises(SystemExit, match="codebook failed"):
        gpu_stages.stages(bench)


@pytest.mark.parametrize("toy", [True, False])
def test_the_stages_parameters_are_valid(toy: bool, scripts: Any) -> None:
    import gpu_stages

    params = parse(gpu_stages.knobs(toy, torch.device("cpu")), "params.yaml")
    assert params.train.base.momask.latent == (16 if toy else 384)
