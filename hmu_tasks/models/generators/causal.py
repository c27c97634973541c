"""What transformers that sample codes from left to right share: BAMM's base, and T2M-GPT's.

A token's row holds the codes before it, so that the row of the text scores the first token and one class more says
where the motion ends.
"""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.models.generators.bamm_attention import reading_order
from hmu_tasks.models.generators.code_network import ALL_ROWS
from hmu_tasks.models.generators.sampling import conditions, mixed
from hmu_tasks.models.generators.token_loss import Predicted, TokenLoss, weighted_loss
from hmu_tasks.models.generators.transformer import BaseTransformer
from hmu_tasks.models.networks.layers import drop_rows, inside_mask, seeded, uniform


class CausalTransformer(BaseTransformer):
    """Predict each code from the text, the codes before it, and those that are known in advance.

    Two ids follow the codes 0..K-1: `end_id` = K (a separate class) and `pad_id` = K + 1. Lengths are in tokens
    everywhere. condition_drop: share of texts that are dropped while training.
    """

    predicts_lengths = True
    end_id: int
    pad_id: int
    condition_drop: float

    @abstractmethod
    def choose(self, lengths: Tensor, columns: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Choose what a training example shows: lengths [B] -> known and replaced positions, both [B, columns].

        Known positions are read by all rows, none beyond the end; what is replaced beyond a length does not count.
        """

    def corrupt(
        self, ids: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Make one training example of each row, with the codes that `choose` replaces made random.

        ids: [B, T] codes, anything beyond the length; lengths: [B]. Returns input [B, T + 1], target [B, T + 1] (codes,
        the end, padding), and the known positions.
        """
        columns = ids.shape[1] + 1
        inside = inside_mask(lengths, columns)
        target = torch.where(inside, functional.pad(ids, (0, 1)), self.pad_id)
        target = target.scatter(1, lengths[:, None], self.end_id)
        known, replaced = self.choose(lengths, columns, generator)
        other = (uniform((len(ids), columns), generator, ids.device) * self.end_id).long()
        return torch.where(replaced & inside, other.clamp(max=self.end_id - 1), target), target, known

    def sequence(self, ids: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Put the text before the tokens: ids [B, T], text [B, 1 + n, W] -> [B, P + T, latent], readable [B, P].

        The sentence vector has a position, too, unlike in MoMask. See `prefix`.
        """
        prefix, readable = self.prefix(text)
        tokens = self.input_process(self.token_emb(ids))
        counted = self.position_enc(torch.cat([prefix[:, -1:], tokens], dim=1))
        return torch.cat([prefix[:, :-1], counted], dim=1), readable

    def token(self, ids: Tensor, place: int) -> Tensor:
        """A token's row of `sequence` at its place from 1 to T, for evaluation: ids [B] -> [B, latent]."""
        out: Tensor = self.input_process(self.token_emb(ids)) + self.position_enc.pe[place, 0]
        return out

    def logits(
        self, ids: Tensor, text: Tensor, *, known: Tensor | None = None, cfg_scale: float | None = None
    ) -> Tensor:
        """Score every code and the end at every position.

        ids: [B, T] codes, `end_id`, `pad_id`. text: [B, 1 + n, W]. known: [B, T] true where all rows may attend to a
        token; None = causal. cfg_scale: guidance scale; None or 1 = conditional,
        0 = unconditional. Returns [B, T + 1, K + 1]: row j scores token j.
        """
        known = torch.zeros_like(ids, dtype=torch.bool) if known is None else known
        texts = conditions(text, cfg_scale, self.negative)
        times = len(texts)
        hidden = self.hidden(ids.repeat(times, 1), torch.cat(texts), known.repeat(times, 1))
        return mixed(self.output_process(hidden).chunk(times), cfg_scale, self.negative)

    def hidden(self, ids: Tensor, text: Tensor, known: Tensor) -> Tensor:
        """Run the transformer: ids and known [B, T], text [B, 1 + n, W] -> [B, 1 + T, latent], row j for token j."""
        sequence, readable = self.sequence(ids, text)
        out: Tensor = self.seqTransEncoder(sequence, reading_order(known, readable))
        return out[:, readable.shape[1] - 1 :]

    def predicted(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> list[Predicted]:
        """Score all tokens of layer 0 and the end; the text is dropped for some rows while training.

        codes: [B, T, Q], anything beyond the length. text: [B, 1 + n, W]. lengths: [B] tokens, at least 1.
        """
        hidden, target, wanted = self._example(codes, text, lengths, generator)
        return [Predicted(self.output_process(hidden[wanted]), target[wanted], wanted.nonzero()[:, 0])]

    def fixed_loss(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        generator: torch.Generator,
        part: slice = ALL_ROWS,
    ) -> TokenLoss:
        """Score all places and count those up to the end, every row weighing the same; see `CodeNetwork.fixed_loss`."""
        hidden, target, wanted = self._example(codes, text, lengths, generator, part)
        return weighted_loss(self.output_process(hidden), target, wanted / (lengths[part, None] + 1.0))

    def _example(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        generator: torch.Generator,
        part: slice = ALL_ROWS,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One training example of each row of `part`: hidden states [B, T + 1, latent], targets, places that count."""
        read, target, known = self.corrupt(codes[..., 0], lengths, generator)
        if self.training and self.condition_drop > 0:
            text = drop_rows(text, self.condition_drop, generator)
        with seeded(generator, codes.device):
            hidden = self.hidden(read[part], text[part], known[part])[:, :-1]
        return hidden, target[part], inside_mask(lengths[part] + 1, target.shape[1])

    def guided(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        cfg_scale: float,
        generator: torch.Generator,
    ) -> list[Predicted]:
        """Score all tokens of layer 0 and the end with guided logits; see `TextToMotion.guided`."""
        read, target, known = self.corrupt(codes[..., 0], lengths, generator)
        logits = self.logits(read, text, known=known, cfg_scale=cfg_scale)[:, :-1]
        wanted = inside_mask(lengths + 1, target.shape[1])
        return [Predicted(logits[wanted], target[wanted], wanted.nonzero()[:, 0])]

    def training_loss(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> TokenLoss:
        """Cross-entropy of all tokens and the end, every row weighing the same; arguments as for `predicted`."""
        (found,) = self.predicted(codes, text, lengths, generator)
        weights = (1.0 / (len(lengths) * (lengths + 1.0)))[found.clip]
        losses = functional.cross_entropy(found.logits.float(), found.target, reduction="none")
        accuracy = (found.logits.argmax(-1) == found.target).float().mean()
        return TokenLoss((losses * weights).sum(), accuracy.detach())
