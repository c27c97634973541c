"""MoMask's residual transformer: it predicts quantizer layer q from the sum of all layers before it.

Guo et al. 2024, "MoMask: Generative Masked Modeling of 3D Human Motions" (arXiv 2312.00063), section 3.3.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.generators.code_network import ALL_ROWS
from hmu_tasks.models.generators.sampling import (
    Places,
    conditions,
    cosine_schedule,
    mixed,
    row_uniforms,
    sample_codes,
)
from hmu_tasks.models.generators.token_loss import Predicted, TokenLoss, weighted_loss
from hmu_tasks.models.generators.transformer import CodeTransformer, TransformerConfig
from hmu_tasks.models.networks.layers import (
    attend_mask,
    drop_rows,
    evaluating,
    initialise,
    inside_mask,
    seeded,
    uniform,
)
from hmu_tasks.models.networks.lengths import bucket
from hmu_tasks.models.networks.recording import replayed
from hmu_tasks.runtime.errors import ConfigError


@dataclass(frozen=True)
class ResidualTransformerConfig(TransformerConfig):
    """Sizes and rates; the defaults are the published ones (weights shared between layers)."""

    condition_drop: float = 0.2
    quantizers: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quantizers < 2:
            raise ConfigError(
                f"a residual transformer needs at least 2 quantizers (train.tokenizer), not {self.quantizers}"
            )


class ResidualTransformer(CodeTransformer):
    """Predict the codes of layer q = 1..Q-1 from layers 0..q-1 and a text.

    One id follows the codes 0..K-1: `pad_id` = K, a class of its own. Lengths are in tokens everywhere.
    The output projection of layer q is the input embedding of layer q ("share weight"); only the first embedding and
    the last output projection are not shared.
    """

    def __init__(self, config: ResidualTransformerConfig, *, seed: int = 0) -> None:
        with seeded(seed):
            super().__init__(config, outputs=config.code_width, quantizers=config.quantizers)
            table = (config.codes + 1, config.code_width)
            self.embed_proj_shared_weight = nn.Parameter(0.02 * torch.randn(config.quantizers - 2, *table))
            self.token_embed_weight_ = nn.Parameter(0.02 * torch.randn(1, *table))
            self.output_proj_weight_ = nn.Parameter(0.02 * torch.randn(1, *table))
            self.apply(initialise)
        self.config = config
        self.pad_id = config.codes

    def token_embed(self, layer: int) -> Tensor:
        """Embedding [K + 1, C] of the codes of layer 0..Q-2."""
        return self.token_embed_weight_[0] if layer == 0 else self.embed_proj_shared_weight[layer - 1]

    def output_proj(self, layer: int) -> Tensor:
        """Output projection [K + 1, C] to the codes of layer 1..Q-1."""
        last = layer == self.config.quantizers - 1
        return self.output_proj_weight_[0] if last else self.embed_proj_shared_weight[layer - 1]

    def hidden(self, history: Tensor, layers: Tensor, text: Tensor, inside: Tensor) -> Tensor:
        """Run the transformer on summed embeddings: history [B, T, C], layers [B] -> [B, T, latent]."""
        which = functional.one_hot(layers, self.config.quantizers).to(history.dtype)
        x = self.position_enc(self.input_process(history))
        prefix, readable = self.prefix(text)
        # The layer's token may be read wherever the sentence's may, that is always.
        readable = torch.cat([readable, readable[:, -1:]], dim=1)
        x = torch.cat([prefix, self.quant_emb(which)[:, None], x], dim=1)
        out: Tensor = self.seqTransEncoder(x, attend_mask(readable, inside))[:, readable.shape[1] :]
        return out

    def history(self, codes: Tensor, layers: Tensor, *, deepest: int | None = None) -> Tensor:
        """Sum the embeddings of all layers before `layers` [B]; codes: [B, T, >= max layer] -> [B, T, C].

        deepest: the highest of `layers`, or more; None looks.
        """
        total = torch.zeros(*codes.shape[:2], self.config.code_width, device=codes.device)
        for q in range(int(layers.max()) if deepest is None else deepest):
            earlier = functional.embedding(codes[..., q], self.token_embed(q))
            total = total + earlier * (layers > q)[:, None, None]
        return total

    def logits(
        self, codes: Tensor, layer: int, text: Tensor, lengths: Tensor, cfg_scale: float | None = None
    ) -> Tensor:
        """Score the codes of `layer` (1..Q-1) given the layers before it.

        codes: [B, T, >= layer]; text: [B, 1 + n, W]; lengths: [B] tokens. cfg_scale: guidance scale; None or 1 =
        conditional, 0 = unconditional. Returns [B, T, K + 1], the last class being padding; rows beyond the
        length are undefined.
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

    def sample_layers(self, rows: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Sample the layer to predict for each row, [B] in 1..Q-1, low layers more often (cosine schedule)."""
        share = 1.0 - cosine_schedule(uniform((rows,), generator, device))
        return torch.round(share * (self.config.quantizers - 2)).long() + 1

    def predicted(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> list[Predicted]:
        """Sample a layer for each row and score its codes, layer by layer; the text is dropped for some while training.

        codes: [B, T, Q], anything beyond the length. text: [B, 1 + n, W]. lengths: [B] tokens, at least 1.
        """
        hidden, codes, layers = self._example(codes, text, lengths, generator)
        found = []
        for layer in sorted(set(layers.tolist())):
            rows = layers == layer
            target = codes[rows][..., layer]
            kept = target != self.pad_id
            scored = functional.linear(self.output_process(hidden[rows][kept]), self.output_proj(layer))
            found.append(Predicted(scored, target[kept], rows.nonzero()[:, 0][kept.nonzero()[:, 0]]))
        return found

    def fixed_loss(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        generator: torch.Generator,
        part: slice = ALL_ROWS,
    ) -> TokenLoss:
        """Score each row by its own layer's projection; see `CodeNetwork.fixed_loss`."""
        deepest = self.config.quantizers - 1
        hidden, codes, layers = self._example(codes, text, lengths, generator, part, deepest=deepest)
        target = codes.gather(2, layers[:, None, None].expand(-1, codes.shape[1], 1))[..., 0]
        # A product with one-hot rows: unlike indexing, its gradient is a product, too, and the same every time.
        which = functional.one_hot(layers - 1, deepest).to(hidden.dtype)
        tables = torch.stack([self.output_proj(layer) for layer in range(1, deepest + 1)])
        table = (which @ tables.flatten(1)).view(len(which), *tables.shape[1:])
        logits = self.output_process(hidden) @ table.transpose(1, 2)
        return weighted_loss(logits, target, (target != self.pad_id).float())

    def _example(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        generator: torch.Generator,
        part: slice = ALL_ROWS,
        *,
        deepest: int | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One training example of each row of `part`: hidden states [B, T, latent], codes [B, T, Q], layers [B]."""
        inside = inside_mask(lengths, codes.shape[1])
        codes = torch.where(inside[..., None] & (codes >= 0), codes, self.pad_id)
        layers = self.sample_layers(len(codes), generator, codes.device)[part]
        if self.training and self.config.condition_drop > 0:
            text = drop_rows(text, self.config.condition_drop, generator)
        with seeded(generator, codes.device):
            history = self.history(codes[part], layers, deepest=deepest)
            hidden = self.hidden(history, layers, text[part], inside[part])
        return hidden, codes[part], layers

    def code_rows(self, layer: int) -> list[Tensor]:
        """Embeddings of layer 0, output projections of the others (their embeddings too, but for the last layer)."""
        return [self.token_embed(0) if layer == 0 else self.output_proj(layer)]

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
        """Sample the codes of the further layers, one forward pass each (Guo et al. 2024, section 3.4).

        base_ids: [B, T] codes of layer 0. text: [B, 1 + n, W]. lengths: [B] tokens. layers: how many layers to
        return in all, None = Q. noise: [Q - 1, B, T, K + 1] Gumbel noise used instead of
        `generator`.
        padding_class: True also samples the padding class within a motion, as the released code does; it comes
        out as -1 and decodes to a zero vector.
        Returns [B, T, layers] int64, -1 at padding. As in the base model, codes do not depend on
        other rows.
        """
        lengths = lengths.to(text.device)
        whole = text.device.type != "cpu" and noise is None
        refine = partial(
            self.refine,
            total=self.config.quantizers if layers is None else layers,
            cfg_scale=cfg_scale,
            temperature=temperature,
            top_k=top_k,
            noise=noise,
            padding_class=padding_class,
            whole=whole,
        )
        longest = base_ids.shape[1]
        if whole:  # a few widths only
            base_ids = functional.pad(base_ids, (0, bucket(longest) - longest), value=-1)
        uniforms = row_uniforms(self.config.quantizers - 1, lengths, base_ids.shape[1], generator)
        key = ("refine", layers, cfg_scale, temperature, top_k, padding_class, id(self.negative))
        inputs = (base_ids, text, lengths, uniforms)
        with evaluating(self):
            if not whole:
                return refine(*inputs)
            return replayed(self, key, lambda *given: [refine(*given)], *inputs)[0][:, :longest]

    def refine(
        self,
        base_ids: Tensor,
        text: Tensor,
        lengths: Tensor,
        uniforms: Tensor,
        *,
        total: int,
        cfg_scale: float,
        temperature: float,
        top_k: float,
        noise: Tensor | None = None,
        padding_class: bool = False,
        whole: bool,
    ) -> Tensor:
        """Sample as `generate` does, from the random numbers [Q - 1, B, T].

        whole: sample all positions and drop what lies beyond a length, so that the host never waits.
        """
        inside = inside_mask(lengths, base_ids.shape[1])
        places = Places(inside, whole=whole)
        sampled = [torch.where(inside & (base_ids >= 0), base_ids, self.pad_id)]
        history: Tensor | float = 0.0
        for layer in range(1, total):
            history = history + functional.embedding(sampled[-1], self.token_embed(layer - 1))
            logits = places.of(self._guided(history, layer, text, inside, cfg_scale)).float()
            if not padding_class:
                logits[:, self.pad_id] = -torch.inf
            codes = sample_codes(
                logits,
                top_k=top_k,
                temperature=temperature,
                uniforms=places.of(uniforms[layer - 1]),
                noise=None if noise is None else places.of(noise[layer - 1]),
            )
            sampled.append(places.put(torch.full_like(base_ids, self.pad_id), codes))
        codes = torch.stack(sampled, dim=-1)
        return torch.where(codes == self.pad_id, -1, codes)
