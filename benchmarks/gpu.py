"""Training, sampling, encoding and evaluation at official sizes on one GPU, beside the released MoMask code.

    python benchmarks/gpu.py [--released FOLDER] [--only NAMES] [--write FILE]
    python benchmarks/gpu.py --toy --device cpu        # every line of it at a tiny size, in a minute

Both sides run in one call, on random motion of HumanML3D's shape that is already on the device; `gpu_released.py` says
how the released code is driven. Prints card, versions and a table that is ready for docs/performance.md. Training is
measured over whole calls of the training loop, once with recorded graphs and once without; `scatter` compares the loss
of the first steps with the plain path of ragged batches, over seeds. NAMES: train, sample, encode, evaluate, scatter.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_released import Released
from torch import Tensor

from hmu_tasks.metrics.bootstrap import influence_replicates, split_weights
from hmu_tasks.metrics.distribution import frechet_distance
from hmu_tasks.metrics.motion import jerk_figures
from hmu_tasks.metrics.retrieval import r_precision
from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.generators.two_stage import TwoStage
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime.acceleration import GRAPHS
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import Loss, Schedule, fit
from hmu_tasks.training.loop.history import Values
from hmu_tasks.training.loop.transformers import fixed_code_loss
from hmu_tasks.training.tokenizer import window_loss, windows

SECTIONS = ("train", "sample", "encode", "evaluate", "scatter")


@dataclass(frozen=True)
class Size:
    """How much is measured; official sizes of the networks unless `toy`."""

    toy: bool
    clips: int = 4000
    steps: int = 300  # measured, after a third as many that warm up
    scatter: int = 1000
    seeds: int = 3
    batches: tuple[int, ...] = (32, 128, 512)
    prompts: int = 4384
    preset: int = 2048
    encoded: int = 2000
    tokenizer_batch: int = 256
    batch: int = 64


TOY = Size(True, 24, 6, 12, 2, (4,), 10, 8, 6, 8, 8)


class Bench:
    """Data, networks and clock of one run."""

    def __init__(self, size: Size, device: torch.device, released: Path | None) -> None:
        self.size, self.device = size, device
        tiny: dict[str, Any] = {"codes": 16, "code_width": 8, "quantizers": 3, "depth": 1, "width": 8}
        self.tokens = TokenizerConfig(**tiny) if size.toy else TokenizerConfig()
        small: dict[str, Any] = {"codes": 16, "code_width": 8, "latent": 16, "layers": 1, "heads": 2}
        self.sizes: dict[str, Any] = {**small, "feedforward": 16, "text_width": 32} if size.toy else {}
        self.base = MaskTransformerConfig(**self.sizes)
        rng = np.random.default_rng(0)
        self.frames = 4 * rng.integers(10, 50, size.clips)
        self.features = [
            (0.1 * rng.standard_normal((frames, 263))).cumsum(0).astype(np.float32) for frames in self.frames
        ]
        self.clips = ClipSet(
            [str(i) for i in range(size.clips)], self.features, [[CaptionWords("", [])]] * size.clips
        )
        # Codes that follow from those before them, so that there is something to learn.
        jump = rng.permutation(self.tokens.codes)
        codes = []
        for frames in self.frames:
            rows = [rng.integers(0, self.tokens.codes, self.tokens.quantizers)]
            while len(rows) < frames // 4:
                fresh = rng.random(self.tokens.quantizers) < 0.1
                other = rng.integers(0, self.tokens.codes, self.tokens.quantizers)
                rows.append(np.where(fresh, other, jump[rows[-1]]))
            codes.append(np.stack(rows))
        vectors = torch.from_numpy(rng.standard_normal((size.clips, self.base.text_width)).astype(np.float32))
        rows_of = {str(i): vectors[i : i + 1] for i in range(size.clips)}
        self.codes = CodeSet(codes, [[str(i)] for i in range(size.clips)], rows_of)
        self.text = vectors.to(device)
        self.mean, self.std = torch.zeros(263), torch.ones(263)
        self.released = None if released is None else Released(released, self.tokens, self.base, device)
        self.rows: list[tuple[str, float | None, float, str]] = []

    def network(self, name: str, seed: int = 0) -> Any:
        """A fresh network on the device."""
        if name == "tokenizer":
            return RVQVAE(self.tokens, seed=seed).to(self.device)
        if name == "base":
            return MaskTransformer(self.base, seed=seed).to(self.device)
        if name == "BAMM base":
            return BammTransformer(BammConfig(**self.sizes), seed=seed).to(self.device)
        config = ResidualTransformerConfig(**self.sizes, quantizers=self.tokens.quantizers)
        return ResidualTransformer(config, seed=seed).to(self.device)

    def loss(self, name: str, network: Any, *, plain: bool = False) -> Loss:
        """The training loss as the trainers use it on this device, or on ragged batches from the host."""
        if name == "tokenizer":
            if not plain:
                return window_loss(network, self.clips, 64, self.mean, self.std, self.device)
            return lambda rows, stream: self._plain_tokenizer(network, rows, stream)
        if not plain:
            return fixed_code_loss(network, self.codes, self.device)

        def ragged(rows: np.ndarray, stream: torch.Generator) -> tuple[Tensor, Values]:
            found = network.training_loss(*self.codes.batch(rows, stream, self.device), stream)
            return found.loss, {"loss": found.loss}

        return ragged

    def _plain_tokenizer(
        self, network: RVQVAE, rows: np.ndarray, stream: torch.Generator
    ) -> tuple[Tensor, Values]:
        cut = windows(self.clips, rows, 64, stream, self.mean, self.std).to(self.device)
        found = network.training_loss(cut, generator=stream)
        return found.loss, {"loss": found.loss}

    def now(self) -> float:
        """The time when the device has done all that was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def seconds(self, work: Callable[[], object], *, repeats: int = 3) -> float:
        """Median seconds of a piece of work, after one run that warms up (two where graphs are recorded)."""
        for _ in range(3):
            work()
        taken = []
        for _ in range(repeats):
            start = self.now()
            work()
            taken.append(self.now() - start)
        return statistics.median(taken)

    def add(self, work: str, theirs: float | None, ours: float, unit: str) -> None:
        """Note one line of the table and print it."""
        self.rows.append((work, theirs, ours, unit))
        print(f"{work}: released {_shown(theirs)}, ours {ours:.4g} {unit}", file=sys.stderr, flush=True)


def trained(
    bench: Bench, name: str, *, steps: int, seed: int = 0, plain: bool = False
) -> tuple[float, list[float]]:
    """Train; returns steps per second after the first third, and the mean losses of tenths of the training."""
    network = bench.network(name, seed)
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
    """Steps per second of each network, recorded and plain."""
    size, local = bench.size, slice(4, 67)
    for name in ("tokenizer", "base", "residual", "BAMM base"):
        theirs = None
        if bench.released is not None and name != "BAMM base":
            rows = np.arange(size.tokenizer_batch if name == "tokenizer" else size.batch) % size.clips
            if name == "tokenizer":
                stream = torch.Generator().manual_seed(0)
                cut = windows(bench.clips, rows, 64, stream, bench.mean, bench.std).to(bench.device)
                step = bench.released.tokenizer_step(cut, local)
            else:
                motions, frames = bench.clips.padded(rows, bench.mean, bench.std)
                step = bench.released.transformer_step(
                    name, motions.to(bench.device), bench.text[rows], frames.to(bench.device)
                )
            theirs = 1 / bench.seconds(step, repeats=max(size.steps // 10, 3))
        for graphs in ("checked", "off") if bench.device.type == "cuda" else ("off",):
            os.environ[GRAPHS] = graphs
            _peak(bench)
            speed, _ = trained(bench, name, steps=size.steps * 4 // 3)
            plain = "" if graphs == "checked" else ", plain steps"
            bench.add(f"{name} training{plain}{_peak(bench)}", theirs, speed, "steps/s")
        os.environ.pop(GRAPHS)


def sampling(bench: Bench) -> None:
    """Motions per second at several batches, and all captions of a test split."""
    size = bench.size
    tokenizer = bench.network("tokenizer").eval()
    coder = Tokenizer(tokenizer, bench.mean.to(bench.device), bench.std.to(bench.device))
    for kind in ("base", "BAMM base"):
        model = TwoStage(coder, bench.network(kind).eval(), bench.network("residual").eval())
        compared = bench.released if kind == "base" else None
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
            bench.add(f"{_model(kind)}, 196 frames, batch {batch}{_peak(bench)}", theirs, ours, "motions/s")
        text, tokens = _prompts(bench, size.prompts, longest=False)
        theirs = None
        if compared is not None:
            start = bench.now()
            for first in range(0, size.prompts, 32):
                compared.generate(text[first : first + 32], tokens[first : first + 32], steps=10)
            theirs = bench.now() - start
        start = bench.now()
        _generated(bench, model, text, tokens, size.preset)
        work = f"{_model(kind)}, {size.prompts:,} captions, the preset's batch{_peak(bench)}"
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
    if bench.released is not None:
        given = [torch.from_numpy(clip)[None].to(bench.device) for clip in chosen]
        start = bench.now()
        for clip in given:
            bench.released.encode(clip)
        theirs = bench.now() - start
    ours = bench.seconds(lambda: coder.encode(chosen))
    bench.add(f"codes of {bench.size.encoded:,} clips{_peak(bench)}", theirs, ours, "s")


def evaluating(bench: Bench) -> None:
    """Seconds of what one repeat of the protocol computes on the motions of a split; nothing is sampled."""
    from hmu_tasks.evaluation.evaluators import joints_in_batches

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
            f"evaluation of {len(clips):,} motions: {name}{_peak(bench)}", None, bench.seconds(work), "s"
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


def _peak(bench: Bench) -> str:
    """Peak memory of the device since the last call, for a line of the table."""
    if bench.device.type != "cuda":
        return ""
    peak = torch.cuda.max_memory_allocated(bench.device) / 2**30
    torch.cuda.reset_peak_memory_stats(bench.device)
    return f" ({peak:.1f} GiB)"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def table(bench: Bench, started: Sequence[str]) -> str:
    """The results as Markdown, with card, versions and command."""
    card = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else platform.machine()
    lines = [
        f"{card}, torch {torch.__version__}, `python {' '.join(started)}`",
        "",
        "| work (peak memory of the GPU) | released code | ours | times as fast |",
        "|---|---:|---:|---:|",
    ]
    for work, theirs, ours, unit in bench.rows:
        faster = theirs and (theirs / ours if unit == "s" else ours / theirs)
        ratio = "–" if faster is None else f"{faster:.2f}"
        given = "–" if theirs is None else f"{theirs:.4g} {unit}"
        lines.append(f"| {work} | {given} | {ours:.4g} {unit} | {ratio} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument(
        "--toy", action="store_true", help="tiny sizes: a test of this script, no measurement"
    )
    parser.add_argument("--released", type=Path, help="checkout of the released MoMask code")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--steps", type=int, help="measured steps of each training")
    parser.add_argument("--write", type=Path, help="file for the table")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown sections {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    size = TOY if options.toy else Size(False)
    if options.steps:
        size = Size(**{**vars(size), "steps": options.steps})
    bench = Bench(size, pick_device(options.device), options.released)
    sections = dict(zip(SECTIONS, (training, sampling, encoding, evaluating, scattered), strict=True))
    for name in options.only.split(","):
        sections[name](bench)
    text = table(bench, sys.argv)
    print(text)
    if options.write is not None:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
