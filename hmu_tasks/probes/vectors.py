"""Attacks on the sentence vector: in closed form from the original's projections, or by gradient through the model.

Both stay within a ball around the prompt's own vector, so that the prompt is perturbed rather than replaced.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional


def imitation(
    edited: Mapping[str, nn.Linear], original: Mapping[str, nn.Linear], texts: Tensor, *, ridge: float
) -> Tensor:
    """Return the vectors whose edited projections come closest to the original projections of `texts`.

    edited, original: projections y = W c + b of the sentence vector by component; texts: [n, W]. Minimises over a
    sum_i |W'_i a + b'_i - W_i c - b_i|^2 + m |a - c|^2 with m = ridge times the mean eigenvalue of sum_i W'_i^T W'_i.
    It is RECE's vector (Gong et al. 2024, arXiv 2407.12383, section 3.2) with two differences: biases are included,
    because a retrained model has others, and the penalty is on the change instead of the vector, so that nothing
    changes if the projections did not.
    """
    width = texts.shape[1]
    start = texts.double()
    moment = torch.zeros(width, width, dtype=torch.float64, device=texts.device)
    right = torch.zeros_like(start)
    for name, linear in edited.items():
        new = linear.weight.detach().double()
        missed = _read(original[name], start) - _read(linear, start)
        moment = moment + new.T @ new
        right = right + missed @ new
    hold = ridge * moment.diagonal().mean() * torch.eye(width, dtype=torch.float64, device=texts.device)
    change: Tensor = torch.linalg.solve(moment + hold, right.T).T
    return (start + change).to(texts.dtype)


def _read(linear: nn.Linear, texts: Tensor) -> Tensor:
    """Outputs of a linear layer in float64: texts [n, W] -> [n, O]."""
    weight: Tensor = linear.weight.detach().double()
    bias = None if linear.bias is None else linear.bias.detach().double()
    out: Tensor = functional.linear(texts, weight, bias)
    return out


def within_ball(vectors: Tensor, centres: Tensor, *, radius: float) -> Tensor:
    """Pull vectors [n, W] back to at most `radius` times the norm of their centre [n, W] away from it."""
    change = vectors - centres
    limits = radius * centres.norm(dim=1, keepdim=True)
    sizes = change.norm(dim=1, keepdim=True).clamp(min=torch.finfo(change.dtype).tiny)
    found: Tensor = centres + change * (limits / sizes).clamp(max=1.0)
    return found


def descend(texts: Tensor, loss: Callable[[Tensor, int], Tensor], *, radius: float, steps: int) -> Tensor:
    """Lower a loss by projected gradient steps within the ball (Madry et al. 2018, arXiv 1706.06083, section 2.1).

    texts: [n, W]. loss: (vectors [n, W], step) -> scalar that depends on each row by itself. Every row makes steps of
    the same length, 2.5 radius / steps as in their experiments, so that it can reach the edge and turn; it starts at
    the prompt's own vector.
    """
    vectors = texts.detach()
    stride = 2.5 / steps * radius * texts.norm(dim=1, keepdim=True)
    for step in range(steps):
        leaf = vectors.clone().requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(loss(leaf, step), leaf)
        size = slope.norm(dim=1, keepdim=True).clamp(min=torch.finfo(slope.dtype).tiny)
        vectors = within_ball(vectors - stride * slope / size, texts, radius=radius)
    return vectors
