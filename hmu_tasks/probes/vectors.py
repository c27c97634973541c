"""Attacks on the embedded text: in closed form from the original's projections, or by gradient through the model.

Both stay within a ball around the prompt's own rows, sentence vector and word states together, so that the prompt is
perturbed rather than replaced. Absent words stay absent.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.generators.text_to_motion import Level
from hmu_tasks.models.text.embeddings import present


def imitation(
    edited: Mapping[str, nn.Linear], original: Mapping[str, nn.Linear], texts: Tensor, *, ridge: float
) -> Tensor:
    """Return the vectors whose edited projections come closest to the original projections of `texts`.

    edited, original: projections y = W c + b by network, of sentence vectors or of word states; texts: [n, W].
    Minimises over a
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


def imitated_text(
    edited: Mapping[Level, Mapping[str, nn.Linear]],
    original: Mapping[Level, Mapping[str, nn.Linear]],
    text: Tensor,
    *,
    ridge: float,
) -> Tensor:
    """Return `imitation` of the sentence vectors and of the words of embedded texts [n, 1 + m, W].

    edited, original: see `TextToMotion.text_projections`. What no network reads stays as it is.
    """
    found = text.clone()
    found[:, 0] = imitation(edited["sentence"], original["sentence"], text[:, 0], ridge=ridge)
    there = present(text)
    there[:, 0] = False
    if "word" in edited and bool(there.any()):
        found[there] = imitation(edited["word"], original["word"], text[there], ridge=ridge)
    return found


def size(text: Tensor) -> Tensor:
    """Norm over all rows of each text: [n, ..., W] -> [n, ..., 1] with as many axes."""
    norms: Tensor = text.flatten(1).norm(dim=1)
    return norms.view(-1, *[1] * (text.ndim - 1))


def within_ball(text: Tensor, centres: Tensor, *, radius: float) -> Tensor:
    """Pull texts [n, ..., W] back to at most `radius` times the norm of their centre [n, ..., W] away from it."""
    change = text - centres
    sizes = size(change).clamp(min=torch.finfo(change.dtype).tiny)
    found: Tensor = centres + change * (radius * size(centres) / sizes).clamp(max=1.0)
    return found


def descend(text: Tensor, loss: Callable[[Tensor, int], Tensor], *, radius: float, steps: int) -> Tensor:
    """Lower a loss by projected gradient steps within the ball (Madry et al. 2018, arXiv 1706.06083, section 2.1).

    text: [n, ..., W]. loss: (texts of that shape, step) -> scalar that depends on each text by itself. Every text makes
    steps of the same length, 2.5 radius / steps as in their experiments, so that it can reach the edge and turn; it
    starts at the prompt itself. Rows of zeros, words that are not there, stay so.
    """
    found = text.detach()
    there = present(found)[..., None]
    stride = 2.5 / steps * radius * size(found)
    for step in range(steps):
        leaf = found.clone().requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(loss(leaf, step), leaf)
        slope = slope * there
        found = found - stride * slope / size(slope).clamp(min=torch.finfo(slope.dtype).tiny)
        found = within_ball(found, text, radius=radius)
    return found


def same_projections(
    some: Mapping[Level, Mapping[str, nn.Linear]], others: Mapping[Level, Mapping[str, nn.Linear]]
) -> bool:
    """Say whether projections are equal, weights and biases."""
    states = (
        (linear.state_dict(), others[kind][name].state_dict())
        for kind, linears in some.items()
        for name, linear in linears.items()
    )
    return all(torch.equal(a[key], b[key]) for a, b in states for key in a)
