"""A base transformer that samples the first quantizer layer, and a residual transformer for all others.

Guo et al. 2024, "MoMask: Generative Masked Modeling of 3D Human Motions" (arXiv 2312.00063), section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hmu_tasks.models.generators.residual import ResidualTransformer
from hmu_tasks.models.generators.text_to_motion import Sampling, TextToMotion
from hmu_tasks.models.generators.token_loss import Predicted
from hmu_tasks.models.generators.transformer import BaseTransformer


@dataclass(frozen=True)
class TwoStage(TextToMotion):
    """MoMask, BAMM, and other models that differ from them in the base transformer alone."""

    base: BaseTransformer
    residual: ResidualTransformer

    @property
    def predicts_lengths(self) -> bool:
        """Whether the base transformer predicts where a motion ends."""
        return self.base.predicts_lengths

    def sample(
        self,
        text: Tensor,
        lengths: Tensor | None,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Sample layer 0 with the base transformer, then layer by layer with the residual one."""
        ids = self.base.sample(text, lengths, sampling=sampling, generator=streams["base"])
        return self.refine(ids, text, sampling=sampling, streams=streams)

    def proceed(
        self,
        given: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Sample what is not given of layer 0, and all of the further layers."""
        ids = self.base.sample(text, lengths, sampling=sampling, generator=streams["base"], given=given)
        return self.refine(ids, text, sampling=sampling, streams=streams)

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

    def guided(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        cfg_scale: float,
        generator: torch.Generator,
    ) -> list[Predicted]:
        """Score the codes of layer 0, which determine the action; the residual transformer only refines it."""
        return self.base.guided(codes, text, lengths, cfg_scale=cfg_scale, generator=generator)
