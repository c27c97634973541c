"""Data, networks, clock and table that the sections of `gpu.py` share."""

import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gpu_released import Released
from torch import Tensor

from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import Loss
from hmu_tasks.training.loop.history import Values
from hmu_tasks.training.loop.transformers import fixed_code_loss
from hmu_tasks.training.tokenizer import window_loss


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

    def __init__(
        self, size: Size, device: torch.device, released: Callable[..., dict[str, Released]] | None = None
    ) -> None:
        """released: makes the released sides by model, given sizes and device."""
        self.size, self.device = size, device
        tiny: dict[str, Any] = {"codes": 16, "code_width": 8, "quantizers": 3, "depth": 1, "width": 8}
        self.tokens = TokenizerConfig(**tiny) if size.toy else TokenizerConfig()
        small: dict[str, Any] = {"codes": 16, "code_width": 8, "latent": 16, "layers": 1, "heads": 2}
        self.sizes: dict[str, Any] = {**small, "feedforward": 16, "text_width": 32} if size.toy else {}
        self.base = MaskTransformerConfig(**self.sizes)
        rng = np.random.default_rng(0)
        self.frames = 4 * rng.integers(10, 16 if size.toy else 50, size.clips)
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
        self.released = {} if released is None else released(self.tokens, self.base, device)
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
        cut = self.clips.windows(rows, 64, stream, self.mean, self.std).to(self.device)
        found = network.training_loss(cut, generator=stream)
        return found.loss, {"loss": found.loss}

    def now(self) -> float:
        """The time when the device has done all that was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def seconds(self, work: Callable[[], object], *, repeats: int = 3) -> float:
        """Median seconds of a piece of work, after three runs that warm up: the second records graphs."""
        for _ in range(3):
            work()
        taken = []
        for _ in range(repeats):
            start = self.now()
            work()
            taken.append(self.now() - start)
        return statistics.median(taken)

    def cold_and_warm(self, work: Callable[[], object]) -> dict[str, float]:
        """Seconds of the first run of a piece of work, and of a later one, whose graphs are recorded."""
        start = self.now()
        work()
        first = self.now() - start
        return {"first run": first, "later runs": self.seconds(work, repeats=1)}

    def add(self, work: str, theirs: float | None, ours: float, unit: str) -> None:
        """Note one line of the table and print it."""
        self.rows.append((work, theirs, ours, unit))
        print(f"{work}: released {_shown(theirs)}, ours {ours:.4g} {unit}", file=sys.stderr, flush=True)

    def peak(self) -> str:
        """Peak memory of the device since the last call, for a line of the table."""
        if self.device.type != "cuda":
            return ""
        found = torch.cuda.max_memory_allocated(self.device) / 2**30
        torch.cuda.reset_peak_memory_stats(self.device)
        return f" ({found:.1f} GiB)"

    def table(self, started: Sequence[str]) -> str:
        """The results as Markdown, with card, versions and command."""
        cuda = self.device.type == "cuda"
        card = torch.cuda.get_device_name(self.device) if cuda else platform.machine()
        lines = [
            f"{card}, torch {torch.__version__}, `python {' '.join(started)}`",
            "",
            "| work (peak memory of the GPU) | released code | ours | times as fast |",
            "|---|---:|---:|---:|",
        ]
        for work, theirs, ours, unit in self.rows:
            faster = theirs and (theirs / ours if unit == "s" else ours / theirs)
            ratio = "–" if faster is None else f"{faster:.2f}"
            given = "–" if theirs is None else f"{theirs:.4g} {unit}"
            lines.append(f"| {work} | {given} | {ours:.4g} {unit} | {ratio} |")
        return "\n".join(lines) + "\n"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
