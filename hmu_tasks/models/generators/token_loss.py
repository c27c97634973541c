"""Cross-entropy of predicted tokens: as the mean that a transformer is trained with, and clip by clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class TokenLoss:
    """Mean cross-entropy over the predicted tokens (with gradient) and the share predicted right.

    weight, counted: what both means weigh among those of other rows of a batch; None where nobody asks.
    """

    loss: Tensor
    accuracy: Tensor
    weight: Tensor | None = None
    counted: Tensor | None = None


@dataclass(frozen=True)
class Predicted:
    """Tokens to predict in one training example of each clip: logits [N, K], codes [N], and the clip [N] of each."""

    logits: Tensor
    target: Tensor
    clip: Tensor


def weighted_loss(logits: Tensor, target: Tensor, weights: Tensor) -> TokenLoss:
    """Cross-entropy of the tokens of whole batches, of fixed shape: the mean by `weights`, and the accuracy where > 0.

    logits: [B, T, K]. target: [B, T], any class where the weight is 0. weights: [B, T]. The sums run over all processes
    of a distributed training, so that the mean of their gradients is that of one process with the summed batch.
    """
    losses = functional.cross_entropy(
        logits.float().flatten(0, 1), target.clamp(max=logits.shape[-1] - 1).flatten(), reduction="none"
    ).view(target.shape)
    counted = weights > 0
    right = ((logits.argmax(-1) == target) & counted).sum().float()
    weight, count = weights.sum(), counted.sum().float()
    loss = (losses * weights).sum() / mean_over_processes(weight)
    accuracy = mean_over_processes(right) / mean_over_processes(count)
    return TokenLoss(loss, accuracy, weight, count)


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a number over the processes of a distributed training; the number itself in any other."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    value = value.detach().clone()
    torch.distributed.all_reduce(value)
    return value / torch.distributed.get_world_size()


def clip_losses(predicted: Sequence[Predicted], clips: int) -> Tensor:
    """Mean cross-entropy of each clip's predicted tokens, [clips], with gradient; 0 for a clip without any."""
    device = predicted[0].logits.device
    total, count = torch.zeros(clips, device=device), torch.zeros(clips, device=device)
    for part in predicted:
        losses = functional.cross_entropy(part.logits.float(), part.target, reduction="none")
        total = total.index_add(0, part.clip, losses)
        count = count.index_add(0, part.clip, torch.ones_like(losses))
    return total / count.clamp(min=1.0)
