"""Sampling of codes from logits: top-k truncation, temperature, and random numbers independent of padding."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from hmu_tasks.models.networks.layers import uniform
from hmu_tasks.models.text.embeddings import alike, rows_of
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import replacing
from hmu_tasks.runtime.tensor_files import read_tensors

Network = TypeVar("Network", bound=nn.Module)


def kept_classes(classes: int, top_k: float) -> int:
    """Number of classes that stay when the share `top_k` of them is cut away: ceil((1 - top_k) * classes)."""
    return max(1, math.ceil((1.0 - top_k) * classes))


def sample_codes(
    logits: Tensor, *, top_k: float, temperature: float, uniforms: Tensor, noise: Tensor | None = None
) -> Tensor:
    """Sample one class per row from the most likely classes.

    logits: [N, K]. top_k: share of classes cut away. temperature: 0 takes the most likely class.
    uniforms: [N] numbers in [0, 1), turned into classes through the cumulative distribution.
    noise: [N, K] Gumbel noise; if given, it is used instead of `uniforms` (the Gumbel-max trick).
    Returns [N] int64.
    """
    values, classes = logits.topk(kept_classes(logits.shape[-1], top_k), dim=-1)
    if temperature == 0:
        return classes[:, 0]
    if noise is not None:
        place = (values / temperature + noise.gather(-1, classes)).argmax(-1)
    else:
        cumulative = (values / temperature).softmax(-1).cumsum(-1)
        place = (cumulative <= uniforms[:, None] * cumulative[:, -1:]).sum(-1)
        place = place.clamp(max=cumulative.shape[-1] - 1)
    return classes.gather(-1, place[:, None])[:, 0]


@dataclass(frozen=True)
class Places:
    """Chosen positions [B, T] of a batch: gathered, or with `whole` all positions, of which the chosen are put back."""

    chosen: Tensor
    whole: bool

    def of(self, values: Tensor) -> Tensor:
        """Take the values [B, T, ...] of the positions: [N, ...]."""
        return values.flatten(0, 1) if self.whole else values[self.chosen]

    def put(self, base: Tensor, values: Tensor) -> Tensor:
        """Replace the chosen positions of `base` [B, T] by `values` [N], in the order of `of`."""
        if self.whole:
            return torch.where(self.chosen, values.view(base.shape).to(base.dtype), base)
        return base.masked_scatter(self.chosen, values)


def mask_counts(lengths: Tensor, ratio: Tensor) -> Tensor:
    """Tokens to mask per row: the share `ratio` of each length, rounded half to even, at least one."""
    return torch.round(ratio * lengths).clamp(min=1)


def cosine_schedule(progress: Tensor) -> Tensor:
    """Share of masked tokens at `progress` in [0, 1] (Guo et al. 2024, section 3.2; Chang et al. 2022)."""
    return torch.cos(progress * math.pi * 0.5)


def row_uniforms(count: int, lengths: Tensor, tokens: int, generator: torch.Generator) -> Tensor:
    """Uniform numbers [count, B, T] such that a row's numbers depend on its own place and length only.

    Each row gets a seed from `generator` for its own tokens, so that neither padding nor the
    lengths of other rows change its numbers. lengths: [B] tokens. On a GPU the numbers are made there.
    """
    drawn = torch.randint(2**62, (len(lengths),), generator=generator, device=generator.device)
    if lengths.device.type != "cpu":
        return hashed_uniforms(drawn.to(lengths.device, non_blocking=True), count, tokens)
    seeds = drawn.tolist()
    out = torch.zeros(count, len(lengths), tokens)
    for row, (seed, length) in enumerate(zip(seeds, lengths.tolist(), strict=True)):
        own = torch.Generator().manual_seed(seed)
        out[:, row, :length] = uniform((count, length), own, out.device)
    return out.to(lengths.device)


def hashed_uniforms(seeds: Tensor, count: int, tokens: int) -> Tensor:
    """Uniform numbers in [0, 1) from row seeds [B] alone, [count, B, tokens]; more tokens do not change the first.

    SplitMix64 (Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators", figure 16), whose n-th number
    needs none before it; n is the place, so that all numbers are made at once.
    """
    device = seeds.device
    step, token = torch.arange(count, device=device), torch.arange(tokens, device=device)
    place = (step[:, None, None] << 20) + token + 1
    state = seeds[None, :, None] + _GAMMA * place  # wraps round, as it is meant to
    state = (state ^ _shifted(state, 30)) * _FIRST
    state = (state ^ _shifted(state, 27)) * _SECOND
    return _shifted(state ^ _shifted(state, 31), 40).float() * 2.0**-24


# SplitMix64's odd constants as signed numbers.
_GAMMA, _FIRST, _SECOND = (
    value - 2**64 for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def _shifted(value: Tensor, by: int) -> Tensor:
    """Shift to the right, with zeros from the left as for a number without sign."""
    return (value >> by) & ((1 << (64 - by)) - 1)


@dataclass(frozen=True)
class Negative:
    """A text [1 + n, W] to steer away from, and how much, as a share of the guidance towards the prompt.

    text: a sentence vector [W] alone stands for a text without words.
    """

    text: Tensor
    weight: float


def conditions(text: Tensor, cfg_scale: float | None, negative: Negative | None = None) -> list[Tensor]:
    """Return the texts, [B, 1 + n, W] each, whose logits guidance combines: prompt, no text, negative text.

    cfg_scale: None or 1 needs the prompt alone, 0 "no text" alone; a negative text needs all three, unless guidance
    is off.
    """
    text = rows_of(text)
    nothing = torch.zeros_like(text)
    if cfg_scale == 0.0:
        return [nothing]
    if negative is not None:
        away = rows_of(negative.text.to(text)[None]).expand(len(text), -1, -1)
        return alike(text, nothing, away)
    return [text] if cfg_scale is None or cfg_scale == 1.0 else [text, nothing]


def mixed(logits: Sequence[Tensor], cfg_scale: float | None, negative: Negative | None = None) -> Tensor:
    """Mix the logits of `conditions`: u + s ((c - u) - g (n - u)), with g the negative's weight.

    In single precision at least: the scale would multiply the last digits of bfloat16.
    """
    logits = [one.to(torch.promote_types(one.dtype, torch.float32)) for one in logits]
    if len(logits) == 1:
        return logits[0]
    scale = 1.0 if cfg_scale is None else cfg_scale
    found = guided(logits[0], logits[1], scale)
    if negative is None:
        return found
    return found - scale * negative.weight * (logits[2] - logits[1])


def guided(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (Ho and Salimans 2022, equation 6, in MoMask's form): u + scale * (c - u)."""
    return unconditional + scale * (conditional - unconditional)


# Stored with a base or residual transformer's weights: a negative text, if a method sets one.
NEGATIVE = "negative.safetensors"


def save_negative(negative: Negative, folder: Path) -> None:
    """Save a negative text in the folder of a base or residual transformer."""
    state = {"text": negative.text, "weight": torch.tensor(negative.weight, dtype=torch.float64)}
    with replacing(folder / NEGATIVE) as temporary:
        temporary.write_bytes(to_bytes(state))


def with_negative(network: Network, folder: Path, device: torch.device) -> Network:
    """Set a transformer's negative text if its folder holds one."""
    path = folder / NEGATIVE
    if path.exists():
        try:
            state = read_tensors(path)
            text, weight = state["text"].to(device), float(state["weight"])
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{path} cannot be read ({error}); apply the method again") from error
        network.negative = Negative(text, weight)  # type: ignore[assignment]  # not a tensor of the network
    return network
