"""Parts that the transformers share: post-norm encoder, positions, input and output projections, seeded random numbers.

Parameter names are those of the published MoMask checkpoints, so that official weights load unchanged.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional


@contextmanager
def seeded(source: int | torch.Generator, device: torch.device | None = None) -> Iterator[None]:
    """Run a block (dropout, initialisation) on random numbers from `source`; the global state is not modified.

    torch's dropout and initialisers take no generator, so the global state is seeded and restored.
    source: a seed, or a generator from which one seed is taken. device: also seeded where it is a CUDA
    device. A CUDA device's own generator is what its dropout uses in any case: the block then just runs.
    """
    if isinstance(source, torch.Generator) and any(source is own for own in torch.cuda.default_generators):
        yield
        return
    if isinstance(source, int):
        seed = source
    else:
        seed = int(torch.randint(2**62, (1,), generator=source, device=source.device))
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch dropout off for a block."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def uniform(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Uniform numbers in [0, 1), generated on the generator's device and moved to `device`."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)


def inside_mask(lengths: Tensor, tokens: int) -> Tensor:
    """Return [B, T] booleans, true for positions before each row's length; lengths: [B]."""
    return torch.arange(tokens, device=lengths.device)[None] < lengths[:, None]


def drop_rows(text: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Zero whole texts [B, ...] with probability `share` (classifier-free guidance, Ho and Salimans 2022)."""
    kept = uniform((len(text), 1), generator, text.device) >= share
    return text * kept.view(-1, *[1] * (text.ndim - 1))


class Dropout(nn.Module):
    """Dropout from one random byte per value, about three times as fast on a CPU as torch's.

    Probabilities are rounded to 1/256, and the kept values are scaled by the rounded one: the mean stays exact.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of x, any shape, while training."""
        if not self.training or self.share == 0.0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.share)
        cut = min(max(round(self.share * 256), 1), 255)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = (words.view(torch.uint8)[: x.numel()] >= cut).view(x.shape)
        return x * kept.to(x.dtype).mul_(256 / (256 - cut))


class PositionalEncoding(nn.Module):
    """Sinusoidal positions (Vaswani et al. 2017, section 3.5), kept as a buffer like the official table."""

    pe: Tensor

    def __init__(self, width: int, positions: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        place = torch.arange(positions, dtype=torch.float32)[:, None]
        rate = torch.exp(torch.arange(0, width, 2).float() * (-math.log(10000.0) / width))
        table = torch.zeros(positions, width)
        table[:, 0::2] = torch.sin(place * rate)
        table[:, 1::2] = torch.cos(place * rate)
        self.register_buffer("pe", table[:, None])  # [positions, 1, width]

    def forward(self, x: Tensor) -> Tensor:
        """Add positions to x: [B, T, width]."""
        added: Tensor = self.dropout(x + self.pe[: x.shape[1], 0])
        return added


class SelfAttention(nn.Module):
    """Multi-head self-attention with the parameter names of torch.nn.MultiheadAttention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = Dropout(dropout)
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        """x: [B, S, width]; attend: [B, 1, 1, S] true where a key may be read, None = everywhere."""
        batch, length, width = x.shape
        q, k, v = self.project(x)
        if self.training and self.dropout.share > 0.0 and x.device.type == "cpu":
            scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5)
            if attend is not None:
                scores = scores.masked_fill(~attend, -torch.inf)
            mixed = self.dropout(scores.softmax(-1)) @ v
        else:
            dropout = self.dropout.share if self.training else 0.0
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=attend, dropout_p=dropout)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return out

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of x [B, S, width], each [B, heads, S, width / heads]."""
        batch, length, width = x.shape
        packed = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = packed.view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return q, k, v


class EncoderLayer(nn.Module):
    """Post-norm transformer layer with GELU, as torch.nn.TransformerEncoderLayer names its parts."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads, dropout)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        """x: [B, S, width] -> [B, S, width]."""
        x = self.norm1(x + self.dropout(self.self_attn(x, attend)))
        wide = self.dropout(functional.gelu(self.linear1(x)))
        out: Tensor = self.norm2(x + self.dropout(self.linear2(wide)))
        return out

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the layer's input; see `SelfAttention.project`."""
        return self.self_attn.project(x)

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Give the output of the layer without dropout, from its input x [B, S, width] and what its heads read."""
        read = self.self_attn.out_proj(mixed.transpose(1, 2).reshape(x.shape))
        x = self.norm1(x + read)
        out: Tensor = self.norm2(x + self.linear2(functional.gelu(self.linear1(x))))
        return out


class PreNormLayer(EncoderLayer):
    """Pre-norm layer with GELU: norms stand before attention and feed-forward part, and none after them."""

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        """x: [B, S, width] -> [B, S, width]."""
        x = x + self.dropout(self.self_attn(self.norm1(x), attend))
        out: Tensor = x + self.dropout(self.linear2(functional.gelu(self.linear1(self.norm2(x)))))
        return out

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the layer's input, after its norm."""
        return self.self_attn.project(self.norm1(x))

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Give the output of the layer without dropout; see `EncoderLayer.finish`."""
        x = x + self.self_attn.out_proj(mixed.transpose(1, 2).reshape(x.shape))
        out: Tensor = x + self.linear2(functional.gelu(self.linear1(self.norm2(x))))
        return out


class Encoder(nn.Module):
    """A stack of encoder layers; kind: their class."""

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        feedforward: int,
        dropout: float,
        kind: type[EncoderLayer] = EncoderLayer,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(kind(width, heads, feedforward, dropout) for _ in range(layers))

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        """x: [B, S, width] -> [B, S, width]."""
        for layer in self.layers:
            x = layer(x, attend)
        return x


class InputProcess(nn.Module):
    """Projection of token vectors into the transformer's width."""

    def __init__(self, code_width: int, width: int) -> None:
        super().__init__()
        self.poseEmbedding = nn.Linear(code_width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., code_width] -> [..., width]."""
        out: Tensor = self.poseEmbedding(x)
        return out


class OutputProcess(nn.Module):
    """BERT's prediction head: dense, GELU, layer norm, output projection."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)
        self.poseFinal = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width] -> [..., outputs]."""
        out: Tensor = self.poseFinal(self.LayerNorm(functional.gelu(self.dense(x))))
        return out


def attend_mask(*readable: Tensor) -> Tensor | None:
    """Return which keys may be read, [B, 1, 1, S], or None where all may be (the faster path, known on a CPU only).

    readable: [B, S_i] of each part of the sequence, such as the tokens of a text and those of the codes.
    """
    keys = torch.cat(readable, dim=1)
    # Looking would make the host wait for any other device.
    return None if keys.device.type == "cpu" and bool(keys.all()) else keys[:, None, None]


def initialise(module: nn.Module) -> None:
    """BERT's initialisation of linear layers, embeddings and norms, as the published transformers use it."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
