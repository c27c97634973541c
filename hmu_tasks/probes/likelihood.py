"""How likely a model finds given codes for a prompt, as it samples: with its guidance, and with a gradient."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from hmu_tasks.models.generators.bamm_base import BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer
from hmu_tasks.models.generators.text_to_motion import BaseTransformer
from hmu_tasks.models.networks.layers import inside_mask


def base_codes(codes: Sequence[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """Collect the first layer of N code arrays [T_i, Q]: ids [N, T], zero beyond the length, and lengths [N]."""
    rows = [torch.from_numpy(np.array(clip[:, 0])) for clip in codes]
    return pad_sequence(rows, batch_first=True).to(device), torch.tensor([len(r) for r in rows]).to(device)


def guided_loss(
    base: BaseTransformer,
    ids: Tensor,
    text: Tensor,
    lengths: Tensor,
    *,
    cfg_scale: float,
    generator: torch.Generator,
) -> Tensor:
    """Cross-entropy of base codes under the logits that sampling draws from, summed over rows of equal weight.

    ids: [B, T]; text: [B, W], may ask for a gradient; lengths: [B] tokens. What is hidden is drawn as in training. In
    contrast to the training loss, the text is guided, and steered away from a negative text where the model has one.
    """
    if isinstance(base, MaskTransformer):
        read, wanted = base.corrupt(ids, lengths, generator)
        logits = base.logits(read, text, lengths, cfg_scale)
        target = ids
    else:
        assert isinstance(base, BammTransformer)
        read, target, known = base.corrupt(ids, lengths, generator)
        logits = base.logits(read, text, known=known, cfg_scale=cfg_scale)[:, :-1]
        wanted = inside_mask(lengths + 1, target.shape[1])
    losses = functional.cross_entropy(logits[wanted].float(), target[wanted], reduction="none")
    weights = (1.0 / wanted.sum(dim=1, keepdim=True)).expand_as(wanted)[wanted]
    return (losses * weights).sum()
