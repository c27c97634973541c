"""The abstract text-to-motion model: tokenizer, base transformer and residual transformer as one."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.residual import ResidualTransformer
from hmu_tasks.models.generators.sampling import Negative
from hmu_tasks.models.networks.device import mixed_precision
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sampling:
    """Decoding steps, CFG scales of base and residual transformer, temperature, and share of logits cut away."""

    steps: int = 10
    cfg: float = 4.0
    residual_cfg: float = 5.0
    temperature: float = 1.0
    top_k: float = 0.9


class BaseTransformer(Protocol):
    """A transformer that draws the codes of the first quantizer layer; a network of PyTorch."""

    cond_emb: nn.Linear
    negative: Negative | None


@dataclass(frozen=True)
class TextToMotion(ABC):
    """The whole model: text embeddings and lengths in, motion out. Methods replace parts, they never change them."""

    tokenizer: Tokenizer
    base: BaseTransformer
    residual: ResidualTransformer

    # The base transformer's class and that of its configuration.
    network: ClassVar[type[Any]]
    config: ClassVar[type[Any]]
    predicts_lengths: ClassVar[bool] = False

    @abstractmethod
    def draw_base(
        self, text: Tensor, lengths: Tensor | None, *, sampling: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Draw the codes of layer 0: text [B, W], lengths [B] tokens -> [B, longest] int64, -1 beyond a length.

        lengths: None asks a model that predicts lengths to do so; others raise ValueError.
        """

    @property
    def codebooks(self) -> Tensor:
        """Codebooks of all layers, [Q, K, C]."""
        return self.tokenizer.codebooks

    @property
    def text_projections(self) -> dict[str, nn.Linear]:
        """The linear maps of the text embedding that closed-form edits may change."""
        return {"base": self.base.cond_emb, "residual": self.residual.cond_emb}

    def with_codebooks(self, codebooks: Tensor) -> Self:
        """Return a model that decodes with `codebooks` [Q, K, C] and shares everything else."""
        network = self.tokenizer.network.with_codebooks(codebooks)
        return replace(self, tokenizer=replace(self.tokenizer, network=network))

    def with_text_projections(self, projections: Mapping[str, nn.Linear]) -> Self:
        """Return a model with other maps of the text embedding, by component, that shares everything else."""
        parts: dict[str, Any] = {}
        for name, linear in projections.items():
            parts[name] = copy.deepcopy(getattr(self, name))
            parts[name].cond_emb = linear
        return replace(self, **parts)

    def with_negative(self, negative: Negative) -> Self:
        """Return a model that steers away from a text at every draw, with the same weights."""
        parts = {name: copy.copy(getattr(self, name)) for name in ("base", "residual")}
        for (
            network
        ) in parts.values():  # a shallow copy: it shares the weights, and only it gets the attribute
            network.negative = negative
        return replace(self, **parts)

    @torch.no_grad()
    def generate_codes(
        self,
        text: Tensor,
        frames: Sequence[int] | None,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        batch: int = 128,
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """Draw codes for each prompt: the first layer by the base transformer, the rest by the residual one.

        text: [B, W] sentence vectors. frames: B lengths in frames (cut to a multiple of four); None where the
        model is to predict them. Returns B int64 arrays [frames_i // 4, Q]. Prompts of similar length share a
        batch; what is drawn for a prompt does not depend on the size of the batches.
        """
        tokens = None if frames is None else np.array([f // UNIT for f in frames])
        order = np.arange(len(text)) if tokens is None else np.argsort(tokens, kind="stable")
        codes: list[np.ndarray] = [np.empty(0)] * len(order)
        # A stream of its own for each transformer: prompts take their numbers in order, however they are batched.
        second = torch.Generator(device=generator.device)
        second.manual_seed(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
        done = 0
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            lengths = None if tokens is None else torch.from_numpy(tokens[rows]).to(text.device)
            with mixed_precision(text.device):
                ids = self.draw_base(text[rows], lengths, sampling=sampling, generator=generator)
                lengths = (ids >= 0).sum(dim=1)
                full = self.residual.generate(
                    ids,
                    text[rows],
                    lengths,
                    cfg_scale=sampling.residual_cfg,
                    temperature=sampling.temperature,
                    top_k=sampling.top_k,
                    generator=second,
                )
            for i, row, length in zip(rows, full.cpu().numpy(), lengths.tolist(), strict=True):
                codes[i] = row[:length]
            done += len(rows)
            if progress is not None:
                progress(done, len(order))
        return codes

    def generate(
        self,
        text: Tensor,
        frames: Sequence[int] | None,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        batch: int = 128,
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """Draw one motion per prompt: raw features [frames_i // 4 * 4, D]."""
        codes = self.generate_codes(
            text, frames, sampling=sampling, generator=generator, batch=batch, progress=progress
        )
        return self.tokenizer.decode(codes, batch=batch)
