"""Shared parts of transformers over codes: sizes, layers, and the interface of one that samples the first layer.

Parameter names are those of the published MoMask checkpoints, so that official weights load unchanged.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.generators.token_loss import Predicted
from hmu_tasks.models.networks.layers import Encoder, InputProcess, OutputProcess, PositionalEncoding
from hmu_tasks.models.text.embeddings import present, rows_of
from hmu_tasks.runtime.errors import ConfigError


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and rates; the defaults are the published ones.

    positions: rows of the table of positions, the longest sequence that can be read. words: the most word states of a
    text; 0 reads the sentence vector alone, as the published models do.
    """

    codes: int = 512
    code_width: int = 512
    latent: int = 384
    layers: int = 8
    heads: int = 6
    feedforward: int = 1024
    dropout: float = 0.2
    text_width: int = 512
    words: int = 0
    condition_drop: float = 0.1
    positions: int = 5000

    def __post_init__(self) -> None:
        if self.latent % self.heads or self.latent % 2:
            raise ConfigError(
                f"latent width {self.latent} must be even and a multiple of heads ({self.heads})"
            )


class CodeTransformer(CodeNetwork):
    """A transformer encoder over a text and embedded codes; sub-classes add the tables of codes.

    The text is a prefix of the sequence: a token for each of its words, where the network reads words, and one for the
    sentence vector.
    """

    def __init__(self, config: TransformerConfig, *, outputs: int, quantizers: int | None = None) -> None:
        """Build the shared layers.

        outputs: width of the output projection. quantizers: where the quantizer layer is an input, as a one-hot vector.
        """
        super().__init__()
        self.input_process = InputProcess(config.code_width, config.latent)
        self.position_enc = PositionalEncoding(config.latent, config.positions, config.dropout)
        self.seqTransEncoder = Encoder(
            config.layers, config.latent, config.heads, config.feedforward, config.dropout
        )
        if quantizers is not None:
            self.quant_emb = nn.Linear(quantizers, config.latent)
        self.cond_emb = nn.Linear(config.text_width, config.latent)
        if config.words:
            self.word_emb = nn.Linear(config.text_width, config.latent)
        self.output_process = OutputProcess(config.latent, outputs)

    def prefix(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Embed a text as tokens before the codes: words, then the sentence vector.

        text: [B, 1 + n, W], or sentence vectors [B, W]. Returns the tokens [B, P, latent] and which of them may be
        read, [B, P]: the sentence always, words where there are any. P is 1 where the network reads no words.
        """
        rows = rows_of(text)
        sentence, words = rows[:, :1], rows[:, 1:]
        token, always = self.cond_emb(sentence), torch.ones_like(sentence[..., 0], dtype=torch.bool)
        if self.word_emb is None:
            return token, always
        return (
            torch.cat([self.position_enc(self.word_emb(words)), token], dim=1),
            torch.cat([present(words), always], dim=1),
        )


class BaseTransformer(CodeTransformer):
    """A transformer that samples the codes of the first quantizer layer; others follow from these."""

    token_emb: nn.Embedding
    predicts_lengths: ClassVar[bool] = False

    @abstractmethod
    def sample(
        self,
        text: Tensor,
        lengths: Tensor | None,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        given: Tensor | None = None,
    ) -> Tensor:
        """Sample the codes of layer 0: text [B, 1 + n, W] -> [B, longest] int64, -1 beyond a length.

        lengths: [B] tokens; None makes a model predict them, or raise ValueError if it cannot. given: [B, longest]
        codes that stay, -1 where one is sampled, at least one in each row.
        """

    @abstractmethod
    def guided(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        cfg_scale: float,
        generator: torch.Generator,
    ) -> list[Predicted]:
        """Score the codes of layer 0 as `TextToMotion.guided` does."""

    def code_rows(self, layer: int) -> list[Tensor]:
        """Embeddings and output projections of the codes of layer 0, [>= K, width] each; none for further layers."""
        return [self.token_emb.weight, self.output_process.poseFinal.weight] if layer == 0 else []

    def output_bias(self, layer: int) -> Tensor | None:
        """Bias of the logits of layer 0, [>= K]; None for further layers."""
        bias: Tensor = self.output_process.poseFinal.bias
        return bias if layer == 0 else None
