"""Interface of a network that predicts codes, as used by training, methods and attacks."""

import copy
from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.generators.sampling import Negative
from hmu_tasks.models.generators.token_loss import Predicted, TokenLoss

ALL_ROWS = slice(None)


class CodeNetwork(nn.Module, ABC):
    """A network that predicts codes of a tokenizer from embedded texts [B, 1 + n, W] (`models.text.embeddings`).

    Built as `(config, seed=...)`. cond_emb: the projection of the sentence vector, named as in the published
    checkpoints; word_emb: that of the word states, None if the network reads the sentence vector alone. Edits on the
    text side replace them. negative: a negative text to steer away from while sampling (see `sampling.conditions`).
    """

    cond_emb: nn.Linear
    word_emb: nn.Linear | None
    negative: Negative | None = None

    def __init__(self) -> None:
        super().__init__()
        self.word_emb = None

    @abstractmethod
    def predicted(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> list[Predicted]:
        """Score the codes of one training example of each clip.

        codes: [B, T, Q], anything beyond the length. text: [B, 1 + n, W]. lengths: [B] tokens, at least 1.
        """

    def training_loss(
        self, codes: Tensor, text: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> TokenLoss:
        """Cross-entropy of the predicted codes, each of equal weight; arguments as for `predicted`."""
        found = self.predicted(codes, text, lengths, generator)
        count = sum(len(part.target) for part in found)
        losses = [functional.cross_entropy(p.logits.float(), p.target, reduction="sum") for p in found]
        right = [(part.logits.argmax(-1) == part.target).sum() for part in found]
        return TokenLoss(torch.stack(losses).sum() / count, (torch.stack(right).sum() / count).detach())

    def fixed_loss(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        generator: torch.Generator,
        part: slice = ALL_ROWS,
    ) -> TokenLoss | None:
        """Return `training_loss` by work whose shapes follow from those of the arguments alone, without waiting.

        part: rows whose loss is returned; random numbers are those of the whole batch. None, the default, where a
        network has only `predicted`.
        """
        del codes, text, lengths, generator, part
        return None

    def code_rows(self, layer: int) -> list[Tensor]:
        """Embeddings and output projections of a layer's codes, [>= K, width] each; none if the network has none."""
        del layer
        return []

    def output_bias(self, layer: int) -> Tensor | None:
        """Bias of the logits of a layer's codes, [>= K], a parameter; None if this network does not sample them."""
        del layer
        return None

    def without_codes(self, layer: int, codes: Tensor) -> Self | None:
        """Return a copy that never samples the codes of a layer marked in `codes` [K]; None if not supported."""
        other = copy.deepcopy(self)
        bias = other.output_bias(layer)
        if bias is None:
            return None
        with torch.no_grad():
            bias[: len(codes)].masked_fill_(codes, NEVER)
        return other


# Logit bias of a code that is never sampled; finite, so that it survives bfloat16 and guidance.
NEVER = -1e4
