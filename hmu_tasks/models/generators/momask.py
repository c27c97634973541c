"""MoMask: a masked base transformer and a residual transformer over the codes of an RVQ-VAE.

Guo et al. 2024, "MoMask: Generative Masked Modeling of 3D Human Motions" (arXiv 2312.00063).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.text_to_motion import Sampling, TextToMotion


@dataclass(frozen=True)
class MoMask(TextToMotion):
    """MoMask: the base transformer fills in masked tokens, all at once at first, in a few steps."""

    base: MaskTransformer

    network = MaskTransformer
    config = MaskTransformerConfig

    def draw_base(
        self, text: Tensor, lengths: Tensor | None, *, sampling: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Draw base codes by masked decoding; raises ValueError without lengths: MoMask predicts none."""
        if lengths is None:
            raise ValueError("MoMask needs the lengths of the motions; only BAMM predicts them")
        return self.base.generate(
            text,
            lengths,
            steps=sampling.steps,
            cfg_scale=sampling.cfg,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            generator=generator,
        )
