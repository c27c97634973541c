"""T2M-GPT's transformer: codes from left to right, behind the sentence vector.

Zhang et al. 2023, "T2M-GPT: Generating Human Motion from Textual Descriptions with Discrete Representations"
(arXiv 2301.06052), section 3.2 and appendix.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.bamm_decoding import draw_once
from hmu_tasks.models.generators.causal import CausalTransformer
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.generators.token_loss import Predicted
from hmu_tasks.models.generators.transformer import TransformerConfig
from hmu_tasks.models.networks.layers import Encoder, PreNormLayer, initialise, seeded, uniform


@dataclass(frozen=True)
class T2mGptConfig(TransformerConfig):
    """Sizes and rates; the defaults are the published ones. Both of its stacks of nine layers are one of eighteen.

    condition_drop: the released model has no classifier-free guidance, 0; with more, sampling is guided.
    """

    latent: int = 1024
    layers: int = 18
    heads: int = 16
    feedforward: int = 4096
    dropout: float = 0.1
    condition_drop: float = 0.0


class Head(nn.Module):
    """The last norm, and the output projection, which has no bias."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.poseFinal = nn.Linear(width, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width] -> [..., outputs]."""
        out: Tensor = self.poseFinal(self.norm(x))
        return out


class T2mGptTransformer(CausalTransformer):
    """A pre-norm transformer; embeddings of codes have its width, and no code is known but those before."""

    def __init__(self, config: T2mGptConfig, *, seed: int = 0) -> None:
        with seeded(seed):
            super().__init__(config, outputs=config.codes + 1)
            self.token_emb = nn.Embedding(config.codes + 2, config.latent)
            self.input_process = nn.Identity()  # type: ignore[assignment]  # the embedding is wide enough
            self.seqTransEncoder = Encoder(
                config.layers, config.latent, config.heads, config.feedforward, config.dropout, PreNormLayer
            )
            self.output_process = Head(config.latent, config.codes + 1)  # type: ignore[assignment]
            self.apply(initialise)
        self.config = config
        self.end_id, self.pad_id = config.codes, config.codes + 1
        self.condition_drop = config.condition_drop

    def choose(self, lengths: Tensor, columns: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Choose what a training example shows: half of the codes that are read are replaced (section 3.2).

        Each code with probability 1/2, as in the released training; none is known in advance.
        """
        replaced = uniform((len(lengths), columns), generator, lengths.device) < 0.5
        return torch.zeros_like(replaced), replaced

    def guided(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        cfg_scale: float,
        generator: torch.Generator,
    ) -> list[Predicted]:
        """Score all tokens of layer 0 and the end with the logits that `sample` uses; see `TextToMotion.guided`."""
        scale = self.scale(cfg_scale)
        return super().guided(codes, text, lengths, cfg_scale=scale, generator=generator)

    def scale(self, cfg_scale: float) -> float:
        """Scale of guidance: 1, which is none, where no text was dropped in training."""
        return cfg_scale if self.condition_drop > 0 else 1.0

    def sample(
        self,
        text: Tensor,
        lengths: Tensor | None,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        given: Tensor | None = None,
    ) -> Tensor:
        """Sample codes of layer 0 one by one; without lengths it predicts them."""
        return draw_once(
            self,
            text,
            lengths,
            cfg_scale=self.scale(sampling.cfg),
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            generator=generator,
            given=given,
        )
