"""Section `stages` of `gpu.py`: seconds and peak memory of each stage, and a cell of the evaluation after start-up.

A pipeline of the embedded benchmark is run in a temporary folder, at the default run's data and at official sizes of
the networks, with few steps: memory does not depend on their number. Each stage is a process, as in `dvc repro`; memory
is watched from outside, ten times a second: of the host that of the process, of the GPU what all processes took.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from gpu_bench import Bench

from hmu_tasks import evaluate
from hmu_tasks.config.params import parse
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"latent": 384, "layers": 8, "heads": 6, "feedforward": 1024, "batch": 64, "steps": 20}
OFFICIAL: dict[str, Any] = {
    "text": {"width": 512, "steps": 20},
    "evaluator": {
        "movement_width": 512,
        "motion_hidden": 1024,
        "text_hidden": 512,
        "width": 512,
        "steps": 20,
    },
    "tokenizer": {"width": 512, "code_width": 512, "quantizers": 6, "depth": 3, "batch": 256, "steps": 20},
    "residual": SIZES,
    "base": {"momask": SIZES},
    "classifier": {"convolution": {"steps": 20}, "recurrent": {"steps": 20}},
}
TINY = {"latent": 16, "layers": 1, "heads": 2, "feedforward": 16, "batch": 8, "steps": 2}
TOY: dict[str, Any] = {
    "text": {"width": 16, "word_width": 8, "motion_hidden": 8, "steps": 2, "batch": 8},
    "evaluator": {
        "movement_width": 8,
        "motion_hidden": 8,
        "text_hidden": 8,
        "width": 8,
        "steps": 2,
        "batch": 8,
    },
    "tokenizer": {
        "width": 8,
        "code_width": 8,
        "codes": 16,
        "quantizers": 2,
        "depth": 1,
        "steps": 2,
        "batch": 8,
    },
    "residual": TINY,
    "base": {"momask": TINY},
    "classifier": {"negatives": 4, "resampled": 4}
    | {name: {"width": 8, "steps": 2, "batch": 8} for name in ("convolution", "recurrent")},
}
TRAININGS = (
    "tokenizer full",
    "tokenizer retrain",
    "text",
    "evaluator",
    "base-momask full",
    "base-momask retrain",
)
STAGES = (
    "ingest",
    "filter",
    "validate",
    *(f"train {one}" for one in (*TRAININGS, "residual full", "residual retrain", "classifier")),
    "codebook",
    "unlearn momask original",
    "evaluate momask original",
)


def stages(bench: Bench) -> None:
    """Add a line for every stage, and one for a cell of the evaluation in a process that has started."""
    with tempfile.TemporaryDirectory(prefix="hmu gpu ") as name:
        root = Path(name)
        values = knobs(bench.size.toy, bench.device)
        (root / "params.yaml").write_text(json.dumps(values), encoding="utf-8")
        for stage in STAGES:
            _watched(bench, root, stage)
        with _inside(root):
            bench.add(
                f"a cell of the evaluation after start-up{bench.peak()}", None, _cell(bench, values), "s"
            )


def knobs(toy: bool, device: torch.device) -> dict[str, Any]:
    """All parameters, of the default run but for sizes and steps of networks."""
    values = read_yaml(ROOT / "params.yaml")
    values["run"] |= {"device": device.type, "track": False, "methods": ["uce"]}
    values["filter"]["concepts"] = str(ROOT / values["filter"]["concepts"])
    _overlay(values["train"], TOY if toy else OFFICIAL)
    if toy:
        values["ingest"]["synthetic"] |= {"clips": 40, "val": 16, "test": 16, "forget_share": 0.4}
        values["validate"]["forget_share"] = [0.02, 0.6]
        values["evaluate"] |= {"repeats": 1, "diversity_pairs": 10}
        values["evaluate"]["sampling"]["steps"] = 2
        values["unlearn"]["lcr"] |= {"strengths": [2], "layers": [0]}
        values["unlearn"]["prune"]["strengths"] = [2]
        values["unlearn"]["distill"]["strengths"] = [2]
        values["probe"]["relearning"] |= {"shots": [2], "safe_shots": 3}
    return values


def _overlay(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, dict):
            _overlay(values[key], change)
        else:
            values[key] = change


def _watched(bench: Bench, root: Path, stage: str) -> None:
    """Run a stage as a process and add its seconds and memory; ends the benchmark where it fails."""
    command = [sys.executable, "-m", "hmu_tasks", *stage.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    before = _taken(bench)
    start = time.perf_counter()
    with (root / "log.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT)
        host, device = _peaks(process, lambda: _taken(bench) - before)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{stage} failed:\n{(root / 'log.txt').read_text(encoding='utf-8')[-2000:]}")
    of_gpu = f", {device / 2**30:.1f} GiB of the GPU" if bench.device.type == "cuda" else ""
    bench.add(f"stage {stage}, {host / 2**30:.1f} GiB of the host{of_gpu}", None, seconds, "s")


def _taken(bench: Bench) -> int:
    if bench.device.type != "cuda":
        return 0
    free, total = torch.cuda.mem_get_info(bench.device)
    return total - free


def _peaks(process: "subprocess.Popen[bytes]", taken: Callable[[], int]) -> tuple[int, int]:
    host = device = 0
    while process.poll() is None:
        try:
            whole = psutil.Process(process.pid)
            host = max(host, sum(one.memory_info().rss for one in (whole, *whole.children(recursive=True))))
        except psutil.NoSuchProcess:
            pass
        device = max(device, taken())
        time.sleep(0.1)
    return host, device


@contextmanager
def _inside(root: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(before)


def _cell(bench: Bench, values: dict[str, Any]) -> float:
    """Seconds of an evaluation with all caches empty, in a process whose libraries and device have started."""
    params = parse(values, "params.yaml")
    evaluate.run(params, "momask", "original")
    shutil.rmtree(paths.CACHE)
    start = bench.now()
    evaluate.run(params, "momask", "original")
    return bench.now() - start
