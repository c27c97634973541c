"""MoMask's residual transformer: it predicts quantizer layer q from the sum of all layers before it.

Guo et al. 2024, "MoMask: Generative Masked Modeling of 3D Human Motions" (arXiv 2312.00063), section 3.3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.generators.masked import cosine_schedule
from hmu_tasks.models.generators.sampling import Negative, conditions, draw_codes, mixed, row_uniforms
from hmu_tasks.models.generators.token_loss import Predicted, TokenLoss
from hmu_tasks.models.networks.layers import (
    Encoder,
    InputProcess,
    OutputProcess,
    PositionalEncoding,
    attend_mask,
    drop_rows,
    evaluating,
    initialise,
    inside_mask,
    seeded,
    uniform,
)
from hmu_tasks.runtime.errors import ConfigError


@dataclass(frozen=True)
class ResidualTransformerConfig:
    """Sizes and rates; the defaults are the published ones (weights shared between layers)."""

    codes: int = 512
    code_width: int = 512
    quantizers: int = 6
    latent: int = 384
    layers: int = 8
    heads: int = 6
    feedforward: int = 1024
    dropout: float = 0.2
    text_width: int = 512
    condition_drop: float = 0.2
    positions: int = 5000

    def __post_init__(self) -> None:
        if self.latent % self.heads or self.latent % 2:
            raise ConfigError(
                f"latent width {self.latent} must be even and a multiple of heads ({self.heads})"
            )
        if self.quantizers < 2:
            raise ConfigError(f"a residual transformer needs at least 2 quantizers, not {self.quantizers}")


class ResidualTransformer(nn.Module):
    """Predict the codes of layer q = 1..Q-1 from layers 0..q-1 and a sentence vector.

    One id follows the codes 0..K-1: `pad_id` = K, a class of its own. Lengths are in tokens everywhere.
    The output map of layer q is the input embedding of layer q ("share weight"); only the first embedding and
    the last output map stand alone.
    """

    negative: Negative | None = None

    def __init__(self, config: ResidualTransformerConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.pad_id = config.codes
        with seeded(seed):
            self.input_process = InputProcess(config.code_width, config.latent)
            self.position_enc = PositionalEncoding(config.latent, config.positions, config.dropout)
            self.seqTransEncoder = Encoder(
                config.layers, config.latent, config.heads, config.feedforward, config.dropout
            )
            self.quant_emb = nn.Linear(config.quantizers, config.latent)
            self.cond_emb = nn.Linear(config.text_width, config.latent)
            self.output_process = OutputProcess(config.latent, config.code_width)
            table = (config.codes + 1, config.code_width)
            self.embed_proj_shared_weight = nn.Parameter(0.02 * torch.randn(config.quantizers - 2, *table))
            self.token_embed_weight_ = nn.Parameter(0.02 * torch.randn(1, *table))
            self.output_proj_weight_ = nn.Parameter(0.02 * torch.randn(1, *table))
            self.apply(initialise)

    def token_embed(self, layer: int) -> Tensor:
        """Embedding [K + 1, C] of the codes of layer 0..Q-2."""
        return self.token_embed_weight_[0] if layer == 0 else self.embed_proj_shared_weight[layer - 1]

    def output_proj(self, layer: int) -> Tensor:
        """Output map [K + 1, C] to the codes of layer 1..Q-1."""
        last = layer == self.config.quantizers - 1
        return self.output_proj_weight_[0] if last else self.embed_proj_shared_weight[layer - 1]

    def hidden(self, history: Tensor, layers: Tensor, text: Tensor, inside: Tensor) -> Tensor:
        """Run the transformer on summed embeddings: history [B, T, C], layers [B] -> [B, T, latent]."""
        which = functional.one_hot(layers, self.config.quantizers).to(history.dtype)
        x = self.position_enc(self.input_process(history))
        x = torch.cat([self.cond_emb(text)[:, None], self.quant_emb(which)[:, None], x], dim=1)
        out: Tensor = self.seqTransEncoder(x, attend_mask(inside, 2))[:, 2:]
        return out

    def history(self, codes: Tensor, layers: Tensor) -> Tensor:
        """Sum the embeddings of all layers before `layers` [B]; codes: [B, T, >= max layer] -> [B, T, C]."""
        total = torch.zeros(*codes.shape[:2], self.config.code_width, device=codes.device)
        for q in range(int(layers.max())):
            earlier = functional.embedding(codes[..., q], self.token_embed(q))
            total = total + earlier * (layers > q)[:, None, None]
        return total

    def logits(
        self, codes: Tensor, layer: int, text: Tensor, lengths: Tensor, cfg_scale: float | None = None
    ) -> Tensor:
        """Score the codes of `layer` (1..Q-1) given the layers before it.

        codes: [B, T, >= layer]; text: [B, W]; lengths: [B] tokens. cfg_scale: guidance scale; None or 1 =
        conditional, 0 = unconditional. Returns [B, T, K + 1], the last class being padding; rows beyond the
        length mean nothing.
        """
        inside = inside_mask(lengths, codes.shape[1])
        codes = torch.where(inside[..., None] & (codes >= 0), codes, self.pad_id)
        history = self.history(codes, torch.full((len(codes),), layer, device=codes.device))
        return self._guided(history, layer, text, inside, cfg_scale)

    def _guided(
        self, history: Tensor, layer: int, text: Tensor, inside: Tensor, cfg_scale: float | None
    ) -> Tensor:
        weight = self.output_proj(layer)

        def scored(history: Tensor, text: Tensor, inside: Tensor) -> Tensor:
            layers = torch.full((len(text),), layer, device=text.device)
            hidden = self.hidden(history, layers, text, inside)
            return functional.linear(self.output_process(hidden), weight)

        texts = conditions(text, cfg_scale, self.negative)
        times = len(texts)
        logits = scored(history.repeat(times, 1, 1), torch.cat(texts), inside.repeat(times, 1))
        return mixed(logits.chunk(times), cfg_scale, self.negative)

    def draw_layers(self, rows: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Draw the layer to predict for each row, [B] in 1..Q-1, low layers more often (cosine schedule)."""
        share = 1.0 - cosine_schedule(uniform((rows,), generator, device))
        return torch.round(share * (self.config.quantizers - 2)).long() + 1

    def predicted(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> list[Predicted]:
        """Draw a layer for each row and score its codes, layer by layer; the text is dropped for some while training.

        codes: [B, T, Q], anything beyond the length. text: [B, W]. lengths: [B] tokens, at least 1.
        """
        inside = inside_mask(lengths, codes.shape[1])
        codes = torch.where(inside[..., None] & (codes >= 0), codes, self.pad_id)
        layers = self.draw_layers(len(codes), generator, codes.device)
        if self.training and self.config.condition_drop > 0:
            text = drop_rows(text, self.config.condition_drop, generator)
        with seeded(generator, codes.device):
            hidden = self.hidden(self.history(codes, layers), layers, text, inside)
        found = []
        for layer in sorted(set(layers.tolist())):
            rows = layers == layer
            target = codes[rows][..., layer]
            kept = target != self.pad_id
            scored = functional.linear(self.output_process(hidden[rows][kept]), self.output_proj(layer))
            found.append(Predicted(scored, target[kept], rows.nonzero()[:, 0][kept.nonzero()[:, 0]]))
        return found

    def training_loss(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> TokenLoss:
        """Cross-entropy of one drawn layer per row, every token weighing the same; arguments as for `predicted`."""
        found = self.predicted(codes, text, lengths, generator)
        count = sum(len(part.target) for part in found)
        losses = [functional.cross_entropy(p.logits.float(), p.target, reduction="sum") for p in found]
        right = [(part.logits.argmax(-1) == part.target).sum() for part in found]
        return TokenLoss(torch.stack(losses).sum() / count, (torch.stack(right).sum() / count).detach())

    @torch.no_grad()
    def generate(
        self,
        base_ids: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        cfg_scale: float = 5.0,
        temperature: float = 1.0,
        top_k: float = 0.9,
        generator: torch.Generator,
        layers: int | None = None,
        noise: Tensor | None = None,
        padding_class: bool = False,
    ) -> Tensor:
        """Draw the codes of the further layers, one forward pass each (Guo et al. 2024, section 3.4).

        base_ids: [B, T] codes of layer 0. text: [B, W]. lengths: [B] tokens. layers: how many layers to
        return in all, None = Q. noise: [Q - 1, B, T, K + 1] Gumbel noise that decides in the place of
        `generator`.
        padding_class: True also draws the padding class within a motion, as the released code does; it comes
        out as -1 and decodes to a zero vector.
        Returns [B, T, layers] int64, -1 at padding. Draws depend on other rows as little as in the base
        model.
        """
        lengths = lengths.to(text.device)
        inside = inside_mask(lengths, base_ids.shape[1])
        total = self.config.quantizers if layers is None else layers
        uniforms = row_uniforms(self.config.quantizers - 1, lengths, base_ids.shape[1], generator)
        drawn = [torch.where(inside & (base_ids >= 0), base_ids, self.pad_id)]
        history: Tensor | float = 0.0
        with evaluating(self):
            for layer in range(1, total):
                history = history + functional.embedding(drawn[-1], self.token_embed(layer - 1))
                logits = self._guided(history, layer, text, inside, cfg_scale)[inside].float()
                if not padding_class:
                    logits[:, self.pad_id] = -torch.inf
                codes = draw_codes(
                    logits,
                    top_k=top_k,
                    temperature=temperature,
                    uniforms=uniforms[layer - 1][inside],
                    noise=None if noise is None else noise[layer - 1][inside],
                )
                drawn.append(torch.full_like(base_ids, self.pad_id).masked_scatter(inside, codes))
        codes = torch.stack(drawn, dim=-1)
        return torch.where(codes == self.pad_id, -1, codes)
