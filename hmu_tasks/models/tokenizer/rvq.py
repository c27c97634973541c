"""The motion tokenizer: a residual vector-quantized autoencoder.

Guo et al. 2024, "MoMask: Generative Masked Modeling of 3D Human Motions" (arXiv 2312.00063), section 3.1.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.networks.layers import seeded, uniform
from hmu_tasks.models.tokenizer.convolution import ConvDecoder, ConvEncoder
from hmu_tasks.models.tokenizer.quantizer import ResidualQuantizer
from hmu_tasks.runtime.errors import ConfigError


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes and rates; the defaults are the published ones.

    stages: halvings of the frame rate (2 = four frames per token). depth, dilation: residual blocks per stage
    and the growth of their dilation. dropout: within those blocks. ema: decay of the codebook averages.
    dead_below: codes with a smaller average count per batch are reset. quantize_dropout: share of batches
    that train the first layers only.
    sample_temperature: codes are sampled with logits -distance / temperature in training, 0 = always the nearest.
    positions_start, positions_stop: slice of the local joint positions, weighted by positions_weight.
    """

    features: int = 263
    width: int = 512
    code_width: int = 512
    codes: int = 512
    quantizers: int = 6
    stages: int = 2
    depth: int = 3
    dilation: int = 3
    dropout: float = 0.2
    ema: float = 0.99
    dead_below: float = 1.0
    quantize_dropout: float = 0.2
    sample_temperature: float = 0.5
    commitment_weight: float = 0.02
    positions_weight: float = 0.5
    positions_start: int = 4
    positions_stop: int = 67

    def __post_init__(self) -> None:
        if not 0 <= self.positions_start < self.positions_stop <= self.features:
            raise ConfigError(
                f"positions {self.positions_start}:{self.positions_stop} lie outside {self.features} features"
            )
        if not 0 < self.ema < 1 or self.codes < 2 or self.quantizers < 1:
            raise ConfigError("a tokenizer needs 0 < ema < 1, at least 2 codes and at least 1 quantizer")


@dataclass(frozen=True)
class TokenizerLoss:
    """Total loss (with gradient), its parts (reconstruction, positions, commitment), code perplexity."""

    loss: Tensor
    reconstruction: Tensor
    positions: Tensor
    commitment: Tensor
    perplexity: Tensor


class RVQVAE(nn.Module):
    """Motion features to codes and back; inputs and outputs are normalised features [B, F, D]."""

    def __init__(self, config: TokenizerConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        c = config
        sizes = (c.features, c.width, c.code_width, c.stages, c.depth, c.dilation)
        with seeded(seed):
            self.encoder = ConvEncoder(*sizes, c.dropout)
            self.decoder = ConvDecoder(*sizes, c.dropout)
        self.quantizer = ResidualQuantizer(
            config.quantizers,
            config.codes,
            config.code_width,
            ema=config.ema,
            dead_below=config.dead_below,
            temperature=config.sample_temperature,
        )

    @property
    def codebooks(self) -> Tensor:
        """All codes, [Q, K, C]."""
        return torch.stack([book.codebook for book in self.quantizer.books()])

    @torch.no_grad()
    def with_codebooks(self, codebooks: Tensor) -> "RVQVAE":
        """Return a tokenizer with other codes [Q, K, C] that shares encoder and decoder with this one."""
        own = self.codebooks
        if codebooks.shape != own.shape:
            raise ValueError(f"codebooks have shape {tuple(codebooks.shape)}, expected {tuple(own.shape)}")
        with torch.device("meta"):
            other = RVQVAE(self.config)
        other.encoder, other.decoder = self.encoder, self.decoder
        other.quantizer = copy.deepcopy(self.quantizer)
        for book, codes in zip(other.quantizer.books(), codebooks, strict=True):
            book.replace(codes)
        other.training = self.training
        return other

    def latent(self, x: Tensor) -> Tensor:
        """Encode without quantization; x: [B, F, D] -> [B, T, C] with T = F // 2 ** stages."""
        out: Tensor = self.encoder(x.transpose(1, 2))
        return out.transpose(1, 2)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Quantize motion; x: [B, F, D] -> codes [B, T, Q] int64. Padded frames count like any others."""
        latent = self.latent(x).float()
        return self.quantizer.encode(latent.flatten(0, 1)).view(*latent.shape[:2], -1)

    def decode(self, codes: Tensor) -> Tensor:
        """Restore motion; codes: [B, T, Q or fewer layers], -1 = zero vector -> [B, F, D]."""
        latent = self.quantizer.decode(codes)
        out: Tensor = self.decoder(latent.transpose(1, 2))
        return out.transpose(1, 2)

    def sample_active(self, generator: torch.Generator) -> int:
        """Sample how many layers a batch trains: the first few for some batches, else all; generator: of the CPU."""
        drop, last = uniform((2,), generator, torch.device("cpu")).tolist()
        return (
            1 + int(last * self.config.quantizers)
            if drop < self.config.quantize_dropout
            else self.config.quantizers
        )

    def training_loss(
        self, x: Tensor, *, generator: torch.Generator, active: int | None = None
    ) -> TokenizerLoss:
        """Reconstruct x: [B, F, D]; in training mode the codebooks are updated as well.

        active: how many layers are trained; None samples it by `sample_active` while training.
        Smooth L1 on all features and on the local positions, and the commitment loss (Guo et al. 2024,
        equation 2). In evaluation mode nothing is sampled, dropped or updated.
        """
        config, sampler = self.config, None
        if self.training:
            sampler = generator
            active = self.sample_active(generator) if active is None else active
        with seeded(generator, x.device):
            latent = self.latent(x)
            # Codebooks stay in full precision under autocast: averages of many small steps need it.
            with torch.autocast(x.device.type, enabled=False):
                part = self.quantizer(
                    latent.float().flatten(0, 1), active=active or config.quantizers, generator=sampler
                )
            restored: Tensor = self.decoder(part.latents.view(*latent.shape[:2], -1).transpose(1, 2))
        reconstruction, positions = self.errors(restored.transpose(1, 2).float(), x)
        loss = (
            reconstruction + config.positions_weight * positions + config.commitment_weight * part.commitment
        )
        return TokenizerLoss(
            loss, reconstruction.detach(), positions.detach(), part.commitment.detach(), part.perplexity
        )

    def errors(self, restored: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Smooth L1 on all features and on the local positions; restored, x: [B, F, D]."""
        local = slice(self.config.positions_start, self.config.positions_stop)
        return (
            functional.smooth_l1_loss(restored, x),
            functional.smooth_l1_loss(restored[..., local], x[..., local]),
        )

    def training_state(self) -> dict[str, Tensor]:
        """Training state beyond the state dict: codebook averages and marks."""
        return self.quantizer.training_state()

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back `training_state` after loading the state dict; raises WeightsError for a misfit."""
        self.quantizer.load_training_state(state)
