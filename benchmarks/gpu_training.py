"""Sections `train` and `scatter` of `gpu.py`: speed of training steps, and the loss against the plain path."""

import os
from collections.abc import Callable

import numpy as np
import torch
from gpu_bench import Bench

from hmu_tasks.runtime.acceleration import GRAPHS
from hmu_tasks.training.loop.fit import Schedule, fit


def trained(
    bench: Bench, name: str, *, steps: int, seed: int = 0, plain: bool = False, compiled: bool = False
) -> tuple[float, list[float]]:
    """Train; returns steps per second after the first third, and the mean losses of tenths of the training.

    compiled: the layers by `torch.compile`; a toy only traces them, as a compiler takes minutes on a CPU.
    """
    network = bench.network(name, seed)
    for part in (network.encoder, network.decoder) if name == "tokenizer" else (network.seqTransEncoder,):
        if compiled:
            torch._dynamo.config.recompile_limit = 64  # one for each width of a batch
            part.compile(dynamic=False, backend="eager" if bench.size.toy else "inductor")
    batch = bench.size.tokenizer_batch if name == "tokenizer" else bench.size.batch
    warming, marks = steps // 3, {}
    lengths = np.zeros(bench.size.clips) if name == "tokenizer" else bench.codes.tokens

    def progress(done: int, total: int) -> None:
        if done in (warming, total):
            marks[done] = bench.now()

    found = fit(
        network,
        bench.loss(name, network, plain=plain),
        lengths,
        schedule=Schedule(steps, batch, 2e-4, evaluate_every=max(steps // 10, 1)),
        seed=seed,
        device=bench.device,
        progress=progress,
        one_shape=name == "tokenizer",
    )
    losses = [value for _, key, value in found.history.rows if key == "loss"]
    return (steps - warming) / (marks[steps] - marks[warming]), losses


def training(bench: Bench) -> None:
    """Steps per second of each network: recorded, plain, and compiled."""
    size = bench.size
    for name in ("tokenizer", "base", "residual", "BAMM base"):
        model = "bamm" if name == "BAMM base" else "momask"
        theirs = None
        if model in bench.released:
            theirs = 1 / bench.seconds(_released_step(bench, name, model), repeats=max(size.steps // 10, 3))
        ways = {"": ("checked", False), ", plain steps": ("off", False), ", torch.compile": ("off", True)}
        for way, (graphs, compiled) in ways.items():
            if bench.device.type != "cuda" and not way:
                continue  # nothing is recorded there
            os.environ[GRAPHS] = graphs
            bench.peak()
            speed, _ = trained(bench, name, steps=size.steps * 4 // 3, compiled=compiled)
            bench.add(f"{name} training{way}{bench.peak()}", theirs, speed, "steps/s")
        os.environ.pop(GRAPHS)


def _released_step(bench: Bench, name: str, model: str) -> Callable[[], float]:
    """Return a training step of the released code on the same clips."""
    size, released = bench.size, bench.released[model]
    rows = np.arange(size.tokenizer_batch if name == "tokenizer" else size.batch) % size.clips
    if name == "tokenizer":
        stream = torch.Generator().manual_seed(0)
        cut = bench.clips.windows(rows, 64, stream, bench.mean, bench.std).to(bench.device)
        return released.tokenizer_step(cut, slice(4, 67))
    motions, frames = bench.clips.padded(rows, bench.mean, bench.std)
    part = "residual" if name == "residual" else "base"
    return released.transformer_step(
        part, motions.to(bench.device), bench.text[rows], frames.to(bench.device)
    )


def scattered(bench: Bench) -> None:
    """Mean losses of tenths of the first steps: the largest gap between both paths in standard deviations of seeds."""
    for name in ("tokenizer", "base", "residual"):
        curves = {
            plain: np.array(
                [
                    trained(bench, name, steps=bench.size.scatter, seed=seed, plain=plain)[1]
                    for seed in range(bench.size.seeds)
                ]
            )
            for plain in (False, True)
        }
        spread = np.sqrt(sum(found.var(0, ddof=1) for found in curves.values()) / 2)
        gap = np.abs(curves[False].mean(0) - curves[True].mean(0)) / np.maximum(spread, 1e-12)
        last = ", ".join(
            f"{found[:, -1].mean():.4f} ± {found[:, -1].std(ddof=1):.4f}" for found in curves.values()
        )
        work = f"{name}, {bench.size.scatter} steps, {bench.size.seeds} seeds; last tenth new, plain: {last}"
        bench.add(f"{work}; largest gap", None, float(gap.max()), "standard deviations of a seed")
