"""Sections `sample`, `encode`, `evaluate` and `figures` of `gpu.py`: what trained networks are used for."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from gpu_bench import Bench
from gpu_released import Released
from torch import Tensor

from hmu_tasks.evaluation.evaluators import joints_in_batches
from hmu_tasks.metrics.bootstrap import mean_replicates, split_weights
from hmu_tasks.metrics.distribution import (
    frechet_distance,
    frechet_influence,
    kernel_distance,
    kernel_influence,
)
from hmu_tasks.metrics.motion import foot_skate, jerk_figures
from hmu_tasks.metrics.retrieval import first_marked_ranks, r_precision
from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.generators.two_stage import TwoStage
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer


def sampling(bench: Bench) -> None:
    """Motions per second at several batches, and all captions of a test split."""
    size = bench.size
    tokenizer = bench.network("tokenizer").eval()
    coder = Tokenizer(tokenizer, bench.mean.to(bench.device), bench.std.to(bench.device))
    for kind in ("base", "BAMM base"):
        model = TwoStage(coder, bench.network(kind).eval(), bench.network("residual").eval())
        compared = bench.released.get("momask" if kind == "base" else "bamm")
        for batch in size.batches:
            text, tokens = _prompts(bench, batch, longest=True)
            theirs = None
            if compared is not None:
                theirs = batch / bench.seconds(
                    lambda c=compared, t=text, n=tokens: c.generate(t, n, steps=10)
                )
            bench.peak()  # the released side's, which is not shown
            ours = batch / bench.seconds(
                lambda m=model, t=text, n=tokens, b=batch: _generated(bench, m, t, n, b)
            )
            bench.add(f"{_model(kind)}, 196 frames, batch {batch}{bench.peak()}", theirs, ours, "motions/s")
        text, tokens = _prompts(bench, size.prompts, longest=False)

        def released(c: Released, text: Tensor = text, tokens: Tensor = tokens) -> None:
            for first in range(0, size.prompts, 32):
                c.generate(text[first : first + 32], tokens[first : first + 32], steps=10)

        others = None if compared is None else bench.cold_and_warm(partial(released, compared))
        bench.peak()
        own = bench.cold_and_warm(partial(_generated, bench, model, text, tokens, size.preset))
        memory = bench.peak()
        for way, seconds in own.items():
            work = f"{_model(kind)}, {size.prompts:,} captions, the preset's batch, {way}{memory}"
            bench.add(work, others and others[way], seconds, "s")


def _model(kind: str) -> str:
    return "MoMask" if kind == "base" else "BAMM"


def _prompts(bench: Bench, count: int, *, longest: bool) -> tuple[Tensor, Tensor]:
    rows = torch.arange(count) % bench.size.clips
    tokens = torch.from_numpy(bench.frames[rows.numpy()] // 4)
    tokens = torch.full((count,), 49) if longest else tokens
    return bench.text[rows.to(bench.device)], tokens.to(bench.device)


def _generated(bench: Bench, model: TwoStage, text: Tensor, tokens: Tensor, batch: int) -> None:
    model.generate(
        text,
        (4 * tokens).tolist(),
        sampling=Sampling(),
        generator=torch.Generator(bench.device).manual_seed(0),
        batch=batch,
    )


def encoding(bench: Bench) -> None:
    """Seconds for the codes of clips."""
    coder = Tokenizer(
        bench.network("tokenizer").eval(), bench.mean.to(bench.device), bench.std.to(bench.device)
    )
    chosen = (bench.features * (bench.size.encoded // bench.size.clips + 1))[: bench.size.encoded]
    theirs = None
    if "momask" in bench.released:
        given = [torch.from_numpy(clip)[None].to(bench.device) for clip in chosen]
        theirs = bench.seconds(lambda: [bench.released["momask"].encode(clip) for clip in given])
    bench.peak()
    ours = bench.seconds(lambda: coder.encode(chosen))
    bench.add(f"codes of {bench.size.encoded:,} clips{bench.peak()}", theirs, ours, "s")


def evaluating(bench: Bench) -> None:
    """Seconds of what one repeat of the protocol computes on the motions of a split; nothing is sampled."""
    config = EvaluatorConfig(features=263, movement_width=512, motion_hidden=1024, text_hidden=512, width=512)
    if bench.size.toy:
        config = EvaluatorConfig(features=263, movement_width=8, motion_hidden=8, text_hidden=8, width=8)
    network = Evaluator(config).to(bench.device).eval()
    clips = (bench.features * (bench.size.prompts // bench.size.clips + 1))[: bench.size.prompts]

    def embed() -> None:
        for length in sorted({len(clip) for clip in clips}):
            same = torch.from_numpy(np.stack([clip for clip in clips if len(clip) == length]))
            with torch.no_grad():
                network.embed_motion(same.to(bench.device), torch.full((len(same),), length)).cpu()

    def joints() -> None:
        joints_in_batches(clips, bench.device, batch=512)

    for name, work in (("embedding", embed), ("joints", joints)):
        bench.add(
            f"evaluation of {len(clips):,} motions: {name}{bench.peak()}", None, bench.seconds(work), "s"
        )


def figures(bench: Bench) -> None:
    """Seconds of each metric of one repeat on the motions of a split, and of their bootstrap; numpy on the host."""
    n, width = bench.size.prompts, 8 if bench.size.toy else 512
    rng = np.random.default_rng(0)
    text, made, real = (rng.standard_normal((n, width)) + shift for shift in (0.0, 0.1, 0.2))
    forget = n // 12 or 1
    joints = [rng.standard_normal((frames, 22, 3)) for frames in np.resize(bench.frames, n)]
    weights = split_weights("forget", clusters=n, repeats=20, seed=0)
    works: dict[str, Callable[[], object]] = {
        "FID": lambda: frechet_distance(made, real),
        "FID, for the interval": lambda: frechet_influence(made, real),
        "KID": lambda: kernel_distance(made, real),
        "KID, for the interval": lambda: kernel_influence(made, real),
        "R@1, R@2, R@3": lambda: r_precision(text, made, batch=min(32, n), order=np.arange(n)),
        f"NCS of {forget:,}": lambda: first_marked_ranks(made[:forget], real, np.arange(n) < forget),
        "jerk": lambda: jerk_figures(joints, fps=20.0),
        "foot skating": lambda: foot_skate(joints, fps=20.0),
        "bootstrap of 20 repeats": lambda: mean_replicates(np.ones((20, n)), np.arange(n), weights),
    }
    for name, work in works.items():
        bench.add(f"figures of {n:,} motions: {name}", None, bench.seconds(work, repeats=1), "s")
