"""BAMM's base model: one transformer that decodes codes from left to right, or around known tokens.

Pinyoanuntapong et al. 2024, "BAMM: Bidirectional Autoregressive Motion Model" (arXiv 2403.19435), section 3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.bamm_decoding import generate
from hmu_tasks.models.generators.causal import CausalTransformer
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.generators.transformer import TransformerConfig
from hmu_tasks.models.networks.layers import initialise, inside_mask, seeded, uniform

# The released code guides the second pass with 3 where the first has 4.
SECOND_PASS = 0.75


@dataclass(frozen=True)
class BammConfig(TransformerConfig):
    """Sizes and rates, the same as those of MoMask's base; the defaults are the published ones."""


class BammTransformer(CausalTransformer):
    """Half of the training is causal, half around known tokens.

    An unused id follows `pad_id`, for which the published checkpoints have a row.
    """

    def __init__(self, config: BammConfig, *, seed: int = 0) -> None:
        with seeded(seed):
            super().__init__(config, outputs=config.codes + 1)
            self.token_emb = nn.Embedding(config.codes + 3, config.code_width)
            self.apply(initialise)
        self.config = config
        self.end_id, self.pad_id = config.codes, config.codes + 1
        self.condition_drop = config.condition_drop

    def choose(self, lengths: Tensor, columns: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Choose what a training example shows (Pinyoanuntapong et al. 2024, section 3.2; released code).

        Half of the rows are causal; in the others each token is known with probability 1/2. A share of the codes,
        uniform between 0 and 1/2, is replaced; the share is sampled per row, not per batch as in the released code.
        """
        rows = len(lengths)

        def random(*shape: int) -> Tensor:
            return uniform(shape, generator, lengths.device)

        known = (random(rows, 1) < 0.5) & (random(rows, columns) < 0.5) & inside_mask(lengths + 1, columns)
        return known, random(rows, columns) < 0.5 * random(rows, 1)

    def sample(
        self,
        text: Tensor,
        lengths: Tensor | None,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        given: Tensor | None = None,
    ) -> Tensor:
        """Sample codes of layer 0 in two passes, whatever `sampling.steps` says; without lengths it predicts them."""
        return generate(
            self,
            text,
            lengths,
            cfg_scale=sampling.cfg,
            second_cfg_scale=SECOND_PASS * sampling.cfg,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            generator=generator,
            given=given,
        )
