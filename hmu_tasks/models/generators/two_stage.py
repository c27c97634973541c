"""A base transformer that samples the first quantizer layer, and a residual transformer for all others.

Guo et al. 2024, "MoMask: Generative Masked Modeling of 3D Human Motions" (arXiv 2312.00063), section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hmu_tasks.models.generators.base_sampled import BaseSampled
from hmu_tasks.models.generators.residual import ResidualTransformer
from hmu_tasks.models.generators.text_to_motion import Sampling


@dataclass(frozen=True)
class TwoStage(BaseSampled):
    """MoMask, BAMM, and other models that differ from them in the base transformer alone."""

    residual: ResidualTransformer

    def refine(
        self,
        first: Tensor,
        text: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Sample the further layers with the residual transformer."""
        return self.residual.generate(
            first,
            text,
            (first >= 0).sum(dim=1),
            cfg_scale=sampling.residual_cfg,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            generator=streams["residual"],
        )

    def completed(
        self,
        first: Tensor,
        text: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Add what `refine` samples."""
        return self.refine(first, text, sampling=sampling, streams=streams)
