"""Cross-entropy of predicted tokens: as the mean that a transformer is trained with, and clip by clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class TokenLoss:
    """Mean cross-entropy over the predicted tokens (with gradient) and the share predicted right."""

    loss: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class Predicted:
    """Tokens to predict in one training example of each clip: logits [N, K], codes [N], and the clip [N] of each."""

    logits: Tensor
    target: Tensor
    clip: Tensor


def clip_losses(predicted: Sequence[Predicted], clips: int) -> Tensor:
    """Mean cross-entropy of each clip's predicted tokens, [clips], with gradient; 0 for a clip without any."""
    device = predicted[0].logits.device
    total, count = torch.zeros(clips, device=device), torch.zeros(clips, device=device)
    for part in predicted:
        losses = functional.cross_entropy(part.logits.float(), part.target, reduction="none")
        total = total.index_add(0, part.clip, losses)
        count = count.index_add(0, part.clip, torch.ones_like(losses))
    return total / count.clamp(min=1.0)
