"""Sections `sample`, `encode` and `evaluate` of `gpu.py`: what trained networks are used for."""

from typing import Any

import numpy as np
import torch
from gpu_bench import Bench
from torch import Tensor

from hmu_tasks.evaluation.evaluators import joints_in_batches
from hmu_tasks.metrics.bootstrap import influence_replicates, split_weights
from hmu_tasks.metrics.distribution import frechet_distance
from hmu_tasks.metrics.motion import jerk_figures
from hmu_tasks.metrics.retrieval import r_precision
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
            ours = batch / bench.seconds(
                lambda m=model, t=text, n=tokens, b=batch: _generated(bench, m, t, n, b)
            )
            bench.add(f"{_model(kind)}, 196 frames, batch {batch}{bench.peak()}", theirs, ours, "motions/s")
        text, tokens = _prompts(bench, size.prompts, longest=False)
        theirs = None
        if compared is not None:
            start = bench.now()
            for first in range(0, size.prompts, 32):
                compared.generate(text[first : first + 32], tokens[first : first + 32], steps=10)
            theirs = bench.now() - start
        start = bench.now()
        _generated(bench, model, text, tokens, size.preset)
        work = f"{_model(kind)}, {size.prompts:,} captions, the preset's batch{bench.peak()}"
        bench.add(work, theirs, bench.now() - start, "s")


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
        start = bench.now()
        for clip in given:
            bench.released["momask"].encode(clip)
        theirs = bench.now() - start
    ours = bench.seconds(lambda: coder.encode(chosen))
    bench.add(f"codes of {bench.size.encoded:,} clips{bench.peak()}", theirs, ours, "s")


def evaluating(bench: Bench) -> None:
    """Seconds of what one repeat of the protocol computes on the motions of a split; nothing is sampled."""
    config = EvaluatorConfig(features=263, movement_width=512, motion_hidden=1024, text_hidden=512, width=512)
    if bench.size.toy:
        config = EvaluatorConfig(features=263, movement_width=8, motion_hidden=8, text_hidden=8, width=8)
    network = Evaluator(config).to(bench.device).eval()
    clips = (bench.features * (bench.size.prompts // bench.size.clips + 1))[: bench.size.prompts]
    made: dict[str, Any] = {}

    def embed() -> None:
        parts = []
        for length in sorted({len(clip) for clip in clips}):
            same = np.stack([clip for clip in clips if len(clip) == length])
            with torch.no_grad():
                found = network.embed_motion(
                    torch.from_numpy(same).to(bench.device), torch.full((len(same),), length)
                )
            parts.append(found.cpu().numpy())
        made["embedded"] = np.concatenate(parts)

    def joints() -> None:
        made["joints"] = joints_in_batches(clips, bench.device, batch=512)

    def figures() -> None:
        embedded = made["embedded"].astype(np.float64)
        jerk_figures(made["joints"], fps=20.0)
        frechet_distance(embedded, embedded[::-1] + 0.1)
        whole = len(embedded) // 32 * 32 or len(embedded)
        r_precision(embedded[:whole], embedded[:whole], batch=min(32, whole), order=np.arange(whole))
        weights = split_weights("forget", clusters=len(embedded), repeats=20, seed=0)
        influence_replicates(np.zeros(20), np.ones((20, len(embedded))), np.arange(len(embedded)), weights)

    for name, work in (("embedding", embed), ("joints", joints), ("figures, on the host", figures)):
        bench.add(
            f"evaluation of {len(clips):,} motions: {name}{bench.peak()}", None, bench.seconds(work), "s"
        )
