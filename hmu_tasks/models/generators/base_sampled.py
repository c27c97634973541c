"""What models share whose first quantizer layer is sampled by a base transformer; they differ in the further layers."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hmu_tasks.models.generators.text_to_motion import Sampling, TextToMotion
from hmu_tasks.models.generators.token_loss import Predicted
from hmu_tasks.models.generators.transformer import BaseTransformer


@dataclass(frozen=True)
class BaseSampled(TextToMotion):
    """A sub-class says in `completed` how the codes of the further layers follow from those of layer 0."""

    base: BaseTransformer

    @abstractmethod
    def completed(
        self,
        first: Tensor,
        text: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Add the further layers to sampled codes of layer 0: [B, T], -1 beyond a length -> [B, T, Q]."""

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
        """Sample layer 0 with the base transformer, then complete it."""
        first = self.base.sample(text, lengths, sampling=sampling, generator=streams["base"])
        return self.completed(first, text, sampling=sampling, streams=streams)

    def proceed(
        self,
        given: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Sample what is not given of layer 0, then complete it."""
        first = self.base.sample(text, lengths, sampling=sampling, generator=streams["base"], given=given)
        return self.completed(first, text, sampling=sampling, streams=streams)

    def guided(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        cfg_scale: float,
        generator: torch.Generator,
    ) -> list[Predicted]:
        """Score the codes of layer 0, which determine the action; further layers only refine it."""
        return self.base.guided(codes, text, lengths, cfg_scale=cfg_scale, generator=generator)
