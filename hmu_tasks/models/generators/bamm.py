"""BAMM: MoMask's tokenizer and residual transformer around a bidirectional autoregressive base transformer.

Pinyoanuntapong et al. 2024, "BAMM: Bidirectional Autoregressive Motion Model" (arXiv 2403.19435).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.bamm_decoding import generate
from hmu_tasks.models.generators.text_to_motion import Sampling, TextToMotion

# The released code guides the second pass with 3 where the first has 4.
SECOND_PASS = 0.75


@dataclass(frozen=True)
class Bamm(TextToMotion):
    """The whole model; lengths need not be given: it predicts where a motion ends."""

    base: BammTransformer

    network = BammTransformer
    config = BammConfig
    predicts_lengths = True

    def draw_base(
        self, text: Tensor, lengths: Tensor | None, *, sampling: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Draw base codes in two passes, whatever `sampling.steps` says; without lengths it predicts them."""
        return generate(
            self.base,
            text,
            lengths,
            cfg_scale=sampling.cfg,
            second_cfg_scale=SECOND_PASS * sampling.cfg,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            generator=generator,
        )
