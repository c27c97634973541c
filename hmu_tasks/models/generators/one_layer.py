"""A model of one transformer that samples the codes of the first quantizer layer, and leaves the others out.

With a tokenizer of one codebook these are all codes there are, as in T2M-GPT (Zhang et al. 2023, arXiv 2301.06052).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hmu_tasks.models.generators.text_to_motion import Sampling, TextToMotion
from hmu_tasks.models.generators.token_loss import Predicted
from hmu_tasks.models.generators.transformer import BaseTransformer


@dataclass(frozen=True)
class OneLayer(TextToMotion):
    """Codes of the further layers are -1, which the tokenizer decodes to nothing."""

    base: BaseTransformer

    @property
    def predicts_lengths(self) -> bool:
        """Whether the transformer predicts where a motion ends."""
        return self.base.predicts_lengths

    def sample(
        self,
        text: Tensor,
        lengths: Tensor | None,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Sample layer 0."""
        return self._alone(self.base.sample(text, lengths, sampling=sampling, generator=streams["base"]))

    def proceed(
        self,
        given: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Sample what is not given of layer 0."""
        generator = streams["base"]
        return self._alone(
            self.base.sample(text, lengths, sampling=sampling, generator=generator, given=given)
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
        """Score the codes of layer 0."""
        return self.base.guided(codes, text, lengths, cfg_scale=cfg_scale, generator=generator)

    def _alone(self, ids: Tensor) -> Tensor:
        others = ids.new_full((*ids.shape, len(self.codebooks) - 1), -1)
        return torch.cat([ids[..., None], others], dim=-1)
