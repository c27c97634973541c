"""A model of one transformer that samples the codes of the first quantizer layer, and leaves the others out.

With a tokenizer of one codebook these are all codes there are, as in T2M-GPT (Zhang et al. 2023, arXiv 2301.06052).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hmu_tasks.models.generators.base_sampled import BaseSampled
from hmu_tasks.models.generators.text_to_motion import Sampling


@dataclass(frozen=True)
class OneLayer(BaseSampled):
    """Codes of the further layers are -1, which the tokenizer decodes to nothing."""

    def completed(
        self,
        first: Tensor,
        text: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Add -1 for every further layer."""
        del text, sampling, streams
        others = first.new_full((*first.shape, len(self.codebooks) - 1), -1)
        return torch.cat([first[..., None], others], dim=-1)
