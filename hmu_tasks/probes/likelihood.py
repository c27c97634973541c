"""Differentiable loss of given codes under a model's guided sampling distribution."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from hmu_tasks.models.generators.text_to_motion import TextToMotion


def padded_codes(codes: Sequence[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """Collect N code arrays [T_i, Q]: codes [N, T, Q], zero beyond the length, and lengths [N] in tokens."""
    rows = [torch.from_numpy(np.array(clip)) for clip in codes]
    return pad_sequence(rows, batch_first=True).to(device), torch.tensor([len(r) for r in rows]).to(device)


def guided_losses(
    model: TextToMotion,
    codes: Tensor,
    text: Tensor,
    lengths: Tensor,
    *,
    cfg_scale: float,
    generator: torch.Generator,
) -> Tensor:
    """Mean cross-entropy of each row's codes under the logits that sampling uses, [B].

    codes: [B, T, Q]; text: [B, 1 + n, W], may require a gradient; lengths: [B] tokens. Masks are sampled as in
    training. Unlike in the training loss, the logits are guided, and steered away from a negative text if there is
    one.
    """
    total = codes.new_zeros(len(codes), dtype=torch.float32)
    scored = model.guided(codes, text, lengths, cfg_scale=cfg_scale, generator=generator)
    counts = torch.stack([torch.bincount(part.clip, minlength=len(lengths)) for part in scored]).sum(dim=0)
    for part in scored:
        losses = functional.cross_entropy(part.logits.float(), part.target, reduction="none")
        total = total.index_add(0, part.clip, losses * (1.0 / counts)[part.clip])
    return total
