"""Residual vector quantization with exponentially averaged codebooks and reset of dead codes.

Zeghidour et al. 2021, "SoundStream" (arXiv 2107.03312), algorithm 1; codebook averages: van den Oord et al.
2017, "Neural Discrete Representation Learning", appendix A.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.networks.device import full_precision
from hmu_tasks.models.networks.layers import uniform
from hmu_tasks.runtime.errors import WeightsError


@dataclass(frozen=True)
class Quantized:
    """Quantized latents [N, C] with straight-through gradient, codes [N], commitment loss and perplexity."""

    latents: Tensor
    codes: Tensor
    commitment: Tensor
    perplexity: Tensor


def perplexity(counts: Tensor) -> Tensor:
    """Exponential of the entropy of code usage: 1 = a single code is used, K = uniform usage; counts: [K]."""
    share = counts / counts.sum()
    return torch.exp(-torch.special.xlogy(share, share).sum())


class Codebook(nn.Module):
    """One layer's codes [K, C]; only `codebook` is part of the state dict, as in the official checkpoints.

    Sums, counts and the mark "initialised" are needed to go on training and live in `training_state`. A
    loaded codebook that is not all zero counts as initialised, so that it can never be overwritten from a
    first batch (the released code does not save this and re-initialises whenever training is resumed).
    """

    codebook: Tensor
    code_sum: Tensor
    code_count: Tensor
    initialised: Tensor

    def __init__(self, codes: int, width: int, *, ema: float, dead_below: float, temperature: float) -> None:
        super().__init__()
        self.ema, self.dead_below, self.temperature = ema, dead_below, temperature
        self.register_buffer("codebook", torch.zeros(codes, width))
        self.register_buffer("code_sum", torch.zeros(codes, width), persistent=False)
        self.register_buffer("code_count", torch.zeros(codes), persistent=False)
        self.register_buffer("initialised", torch.tensor(False), persistent=False)
        self._known_initialised = False

    @property
    def started(self) -> bool:
        """Whether there are codes; once there are, the host need not wait for the device to know."""
        if not self._known_initialised:
            self._known_initialised = bool(self.initialised)
        return self._known_initialised

    def nearest(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Index of the nearest code by Euclidean distance; x: [N, C] -> [N]. noise: [N, K] to sample instead."""
        with full_precision():
            scores = 2.0 * x @ self.codebook.T - self.codebook.square().sum(1)
        if noise is not None:
            scores = scores / self.temperature + noise
        return scores.argmax(1)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Quantize x: [N, C]; with a generator (training) codes are sampled and the codebook is updated."""
        noise = None
        if generator is not None:
            if not self.started:
                self._start(self._candidates(x, generator))
            if self.temperature > 0:
                uniforms = uniform((len(x), len(self.codebook)), generator, x.device)
                noise = -torch.log((-torch.log(uniforms.clamp(min=1e-20))).clamp(min=1e-20))
        with torch.no_grad(), full_precision():
            codes = self.nearest(x, noise)
            latents = functional.embedding(codes, self.codebook)
            onehot = functional.one_hot(codes, len(self.codebook)).to(x.dtype)
            counts = onehot.sum(0)
            if generator is not None:
                self._update(x, onehot, counts, generator)
        commitment = functional.mse_loss(x, latents)
        return Quantized(x + (latents - x).detach(), codes, commitment, perplexity(counts))

    def replace(self, codes: Tensor) -> None:
        """Set the codes [K, C] and reset their averages, so that further training does not undo it."""
        self.codebook.copy_(codes)
        self.code_sum.copy_(codes * self.code_count[:, None])

    def _candidates(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Pick K distinct latents of the batch; where there are fewer, repeat them with a little noise."""
        codes, width = self.codebook.shape
        if generator.device.type == "cpu":
            order = torch.randperm(len(x), generator=generator).to(x.device)
        else:  # sorted random keys: a recorded graph can repeat them
            order = uniform((len(x),), generator, x.device).argsort()
        rows = x.detach()[order.repeat(-(-codes // len(x)))[:codes]]
        if len(x) < codes:
            # uniform noise of the released code's standard deviation, 0.01 / sqrt(C)
            rows = rows + (uniform((codes, width), generator, x.device) - 0.5) * (
                0.01 * (12.0 / width) ** 0.5
            )
        return rows

    def _start(self, rows: Tensor, weight: float = 1.0) -> None:
        self.codebook.copy_(rows)
        self.code_sum.copy_(rows * weight)
        self.code_count.fill_(weight)
        self.initialised.fill_(True)

    def _update(self, x: Tensor, onehot: Tensor, counts: Tensor, generator: torch.Generator) -> None:
        """Move each code to the running mean of its latents; reset a rarely used code to a random latent."""
        self.code_sum.lerp_(onehot.T @ x, 1.0 - self.ema)
        self.code_count.lerp_(counts, 1.0 - self.ema)
        dead = (self.code_count < self.dead_below)[:, None]
        fresh = self._candidates(x, generator)
        # A reset code starts as a new one, with weight 1. The released code keeps the old sum and count,
        # which drags the code back to the mean of everything as soon as its count recovers.
        self.code_sum.copy_(torch.where(dead, fresh, self.code_sum))
        self.code_count.copy_(torch.where(dead[:, 0], 1.0, self.code_count))
        self.codebook.copy_(self.code_sum / self.code_count[:, None])

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if prefix + "codebook" in state_dict and bool(self.codebook.any()):
            # Averages are not in the state dict; as much weight as a full window keeps the loaded codes from
            # being reset in the first steps of a further training.
            self._start(self.codebook.clone(), self.dead_below / (1.0 - self.ema))


class ResidualQuantizer(nn.Module):
    """A cascade of codebooks, each quantizing the residual of those before it."""

    def __init__(self, quantizers: int, codes: int, width: int, **knobs: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Codebook(codes, width, **knobs) for _ in range(quantizers))

    def books(self) -> list[Codebook]:
        """Return the layers with their type."""
        return [layer for layer in self.layers if isinstance(layer, Codebook)]

    @property
    def started(self) -> bool:
        """Whether every layer has codes."""
        return all(book.started for book in self.books())

    def encode(self, x: Tensor) -> Tensor:
        """x: [N, C] -> codes [N, Q]."""
        residual, codes = x, []
        for book in self.books():
            nearest = book.nearest(residual)
            codes.append(nearest)
            residual = residual - functional.embedding(nearest, book.codebook)
        return torch.stack(codes, dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """codes: [..., at most Q], -1 = zero vector -> [..., C]."""
        # One extra row of zeros stands for -1.
        tables = [functional.pad(book.codebook, (0, 0, 0, 1)) for book in self.books()]
        wrapped = torch.where(codes < 0, len(tables[0]) - 1, codes)
        parts = [functional.embedding(wrapped[..., q], tables[q]) for q in range(codes.shape[-1])]
        return torch.stack(parts).sum(0)

    def forward(self, x: Tensor, *, active: int, generator: torch.Generator | None) -> Quantized:
        """Quantize x: [N, C] with the first `active` layers; losses and perplexities are their means.

        Each layer passes the gradient straight through, as in the released code, so that the encoder receives
        it `active` times; codes are [N, active].
        """
        residual, total, parts = x, torch.zeros_like(x), []
        for book in self.books()[:active]:
            part = book(residual, generator)
            residual = residual - part.latents.detach()
            total = total + part.latents
            parts.append(part)
        return Quantized(
            total,
            torch.stack([p.codes for p in parts], dim=-1),
            torch.stack([p.commitment for p in parts]).mean(),
            torch.stack([p.perplexity for p in parts]).mean(),
        )

    def training_state(self) -> dict[str, Tensor]:
        """Averages and marks of all layers by name, to go on training exactly where it stopped."""
        return {
            f"layers.{i}.{name}": getattr(book, name).detach().clone()
            for i, book in enumerate(self.books())
            for name in ("code_sum", "code_count", "initialised")
        }

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `training_state` returned; raises WeightsError where it does not fit."""
        own = self.training_state()
        wrong = sorted(
            name
            for name in own.keys() | state.keys()
            if name not in own or name not in state or own[name].shape != state[name].shape
        )
        if wrong:
            raise WeightsError(
                f"training state of the codebooks does not fit this tokenizer: {', '.join(wrong)}"
            )
        for i, book in enumerate(self.books()):
            book._known_initialised = False
            for name in ("code_sum", "code_count", "initialised"):
                getattr(book, name).copy_(state[f"layers.{i}.{name}"])
