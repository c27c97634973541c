"""MoMask's base model: a masked transformer over the codes of the first quantizer layer.

Guo et al. 2024, "MoMask: Generative Masked Modeling of 3D Human Motions" (arXiv 2312.00063), section 3.2.
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
    mask_counts,
    mixed,
    row_uniforms,
    sample_codes,
)
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.generators.token_loss import Predicted, TokenLoss, weighted_loss
from hmu_tasks.models.generators.transformer import BaseTransformer, TransformerConfig
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


@dataclass(frozen=True)
class MaskTransformerConfig(TransformerConfig):
    """Sizes and rates; the defaults are the published ones."""


class MaskTransformer(BaseTransformer):
    """Predict masked codes from the unmasked ones and a text.

    Two ids follow the codes 0..K-1: `mask_id` = K and `pad_id` = K + 1. Lengths are in tokens everywhere.
    """

    def __init__(self, config: MaskTransformerConfig, *, seed: int = 0) -> None:
        with seeded(seed):
            super().__init__(config, outputs=config.codes)
            self.token_emb = nn.Embedding(config.codes + 2, config.code_width)
            self.apply(initialise)
        self.config = config
        self.mask_id, self.pad_id = config.codes, config.codes + 1

    def hidden(self, ids: Tensor, text: Tensor, inside: Tensor) -> Tensor:
        """Run the transformer; ids [B, T] with special ids, text [B, 1 + n, W], inside [B, T] -> [B, T, latent]."""
        prefix, readable = self.prefix(text)
        x = self.position_enc(self.input_process(self.token_emb(ids)))
        x = torch.cat([prefix, x], dim=1)
        out: Tensor = self.seqTransEncoder(x, attend_mask(readable, inside))[:, prefix.shape[1] :]
        return out

    def logits(self, ids: Tensor, text: Tensor, lengths: Tensor, cfg_scale: float | None = None) -> Tensor:
        """Score every code at every position.

        ids: [B, T] codes or `mask_id`; what lies beyond a row's length is read as padding. text: [B, 1 + n, W].
        lengths: [B] tokens. cfg_scale: guidance scale; None or 1 = conditional, 0 = unconditional.
        Returns [B, T, K]; rows beyond the length are undefined.
        """
        inside = inside_mask(lengths, ids.shape[1])
        return self._guided(torch.where(inside, ids, self.pad_id), text, inside, None, cfg_scale)

    def _guided(
        self, ids: Tensor, text: Tensor, inside: Tensor, wanted: Tensor | None, cfg_scale: float | None
    ) -> Tensor:
        """Guided logits at the `wanted` positions in one forward pass: [N, K], or [B, T, K] when all are (None)."""
        texts = conditions(text, cfg_scale, self.negative)
        hidden = self.hidden(ids.repeat(len(texts), 1), torch.cat(texts), inside.repeat(len(texts), 1))
        logits = [self._head(part, wanted) for part in hidden.chunk(len(texts))]
        return mixed(logits, cfg_scale, self.negative)

    def _head(self, hidden: Tensor, wanted: Tensor | None) -> Tensor:
        out: Tensor = self.output_process(hidden if wanted is None or bool(wanted.all()) else hidden[wanted])
        return out

    def corrupt(self, ids: Tensor, lengths: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Choose the tokens to predict and mask them (Guo et al. 2024, section 3.2).

        The share to predict follows the cosine schedule of a uniform number per row. Of the chosen tokens 10 %
        become a random code, 88 % of the rest the mask, and the others stay. Shares are of a row's own
        length, not of the padded
        one as in the released code: the same in expectation, and every row has at least one token to predict.
        Returns the input ids [B, T] (padding = pad_id) and the chosen positions [B, T].
        """
        inside = inside_mask(lengths, ids.shape[1])
        shape, device = (ids.shape[0], ids.shape[1]), ids.device
        ratio = cosine_schedule(uniform(shape[:1], generator, device))
        order = uniform(shape, generator, device).masked_fill(~inside, 2.0)
        chosen = order.argsort(dim=1).argsort(dim=1) < mask_counts(lengths, ratio)[:, None]
        replaced = chosen & (uniform(shape, generator, device) < 0.1)
        hidden = chosen & ~replaced & (uniform(shape, generator, device) < 0.88)
        other = (
            (uniform(shape, generator, device) * self.config.codes).long().clamp(max=self.config.codes - 1)
        )
        corrupted = torch.where(inside, ids, self.pad_id)
        corrupted = torch.where(replaced, other, corrupted)
        return torch.where(hidden, self.mask_id, corrupted), chosen

    def predicted(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> list[Predicted]:
        """Mask random tokens of layer 0 and score them; the text is dropped for some rows while training.

        codes: [B, T, Q], anything beyond the length. text: [B, 1 + n, W]. lengths: [B] tokens, at least 1.
        """
        hidden, ids, chosen = self._example(codes, text, lengths, generator)
        return [Predicted(self.output_process(hidden[chosen]), ids[chosen], chosen.nonzero()[:, 0])]

    def fixed_loss(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        generator: torch.Generator,
        part: slice = ALL_ROWS,
    ) -> TokenLoss:
        """Score all tokens and count the masked ones; see `CodeNetwork.fixed_loss`."""
        hidden, ids, chosen = self._example(codes, text, lengths, generator, part)
        return weighted_loss(self.output_process(hidden), ids, chosen.float())

    def _example(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        generator: torch.Generator,
        part: slice = ALL_ROWS,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One training example of each row of `part`: hidden states [B, T, latent], codes and masked tokens [B, T]."""
        ids = codes[..., 0]
        corrupted, chosen = self.corrupt(ids, lengths, generator)
        if self.training and self.config.condition_drop > 0:
            text = drop_rows(text, self.config.condition_drop, generator)
        with seeded(generator, ids.device):
            hidden = self.hidden(corrupted[part], text[part], inside_mask(lengths[part], ids.shape[1]))
        return hidden, ids[part], chosen[part]

    def guided(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        cfg_scale: float,
        generator: torch.Generator,
    ) -> list[Predicted]:
        """Score the masked tokens of layer 0 with guided logits; see `TextToMotion.guided`."""
        ids = codes[..., 0]
        read, hidden = self.corrupt(ids, lengths, generator)
        logits = self.logits(read, text, lengths, cfg_scale)
        return [Predicted(logits[hidden], ids[hidden], hidden.nonzero()[:, 0])]

    def training_loss(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> TokenLoss:
        """Cross-entropy of the masked tokens, every token weighing the same; arguments as for `predicted`."""
        (found,) = self.predicted(codes, text, lengths, generator)
        accuracy = (found.logits.argmax(-1) == found.target).float().mean()
        return TokenLoss(functional.cross_entropy(found.logits.float(), found.target), accuracy.detach())

    def sample(
        self,
        text: Tensor,
        lengths: Tensor | None,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        given: Tensor | None = None,
    ) -> Tensor:
        """Sample codes of layer 0 by `generate`; raises ValueError without lengths, which it does not predict."""
        if lengths is None:
            raise ValueError("MoMask needs the lengths of the motions, which it does not predict")
        return self.generate(
            text,
            lengths,
            steps=sampling.steps,
            cfg_scale=sampling.cfg,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            generator=generator,
            given=given,
        )

    @torch.no_grad()
    def generate(
        self,
        text: Tensor,
        lengths: Tensor,
        *,
        steps: int = 10,
        cfg_scale: float = 4.0,
        temperature: float = 1.0,
        top_k: float = 0.9,
        generator: torch.Generator,
        noise: Tensor | None = None,
        given: Tensor | None = None,
    ) -> Tensor:
        """Sample base codes by iterative masked decoding (Guo et al. 2024, section 3.4).

        text: [B, 1 + n, W]. lengths: [B] tokens, at least 1. steps: forward passes. top_k: share of codes cut away.
        temperature: 0 = greedy. noise: [steps, B, T, K] Gumbel noise used instead of `generator`. given:
        [B, max length] codes that stay, -1 where one is sampled, as in in-painting. Returns [B, max length] int64,
        -1 at padding. A row's codes depend on the generator, its place in the batch and its own length, never on
        the lengths of the others.
        """
        if steps < 1 or int(lengths.min()) < 1:
            raise ValueError(f"steps ({steps}) and every length ({lengths.tolist()}) must be at least 1")
        whole, longest = text.device.type != "cpu" and noise is None, int(lengths.max())
        tokens = bucket(longest) if whole else longest
        lengths = lengths.to(text.device, non_blocking=True)
        decode = partial(
            self.decode,
            tokens=tokens,
            steps=steps,
            cfg_scale=cfg_scale,
            temperature=temperature,
            top_k=top_k,
            noise=noise,
            whole=whole,
        )
        key = ("decode", tokens, steps, cfg_scale, temperature, top_k, id(self.negative), given is None)
        inputs = [text, lengths, row_uniforms(steps, lengths, tokens, generator)]
        if given is not None:
            inputs.append(functional.pad(given.to(text.device), (0, tokens - longest), value=-1))
        with evaluating(self):
            if not whole:
                return decode(*inputs)
            return replayed(self, key, lambda *given: [decode(*given)], *inputs)[0][:, :longest]

    def decode(
        self,
        text: Tensor,
        lengths: Tensor,
        uniforms: Tensor,
        given: Tensor | None = None,
        *,
        tokens: int,
        steps: int,
        cfg_scale: float,
        temperature: float,
        top_k: float,
        noise: Tensor | None = None,
        whole: bool,
    ) -> Tensor:
        """Decode as `generate` does, from the random numbers [steps, B, tokens].

        whole: score and sample all positions in every step, although only the masked ones are kept; the shapes then
        follow from those of the arguments, and the host never waits. Otherwise the masked ones alone.
        """
        inside = inside_mask(lengths, tokens)
        ids = torch.where(inside, self.mask_id, self.pad_id)
        free, counted = inside, lengths
        if given is not None:
            free = inside & (given < 0)
            ids, counted = torch.where(inside & ~free, given, ids), free.sum(dim=1)
        scores = torch.where(free, 0.0, torch.inf)
        for step, ratio in enumerate(cosine_schedule(torch.linspace(0, 1, steps, device=text.device))):
            # The least confident tokens of the last round are masked again; a stable sort breaks ties by position.
            ranks = scores.argsort(dim=1, stable=True).argsort(dim=1)
            masked = ranks < mask_counts(counted, ratio)[:, None]
            places = Places(masked, whole=whole)
            ids = torch.where(masked, self.mask_id, ids)
            logits = self._guided(ids, text, inside, None if whole else masked, cfg_scale)
            logits = logits.reshape(-1, self.config.codes).float()
            sampled = sample_codes(
                logits,
                top_k=top_k,
                temperature=temperature,
                uniforms=places.of(uniforms[step]),
                noise=None if noise is None else places.of(noise[step, :, :tokens]),
            )
            ids = places.put(ids, sampled)
            certainty = logits.gather(1, sampled[:, None])[:, 0] - logits.logsumexp(1)
            # Tokens kept so far are never masked again.
            scores = places.put(torch.full_like(scores, torch.inf), certainty.exp())
        return torch.where(inside, ids, -1)
