"""Attacks on the embedded text: in closed form from the original's projections, or by gradient through the model.

Both stay within a ball around the prompt's own rows, sentence vector and word states together, so that the prompt is
perturbed rather than replaced. Absent words stay absent.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.generators.text_to_motion import Level
from hmu_tasks.models.networks.memory import Batches
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


Losses = Callable[[Tensor, int, Sequence[int]], Tensor]
"""(some of the texts [k, ..., W], step, their places among all) -> [k]; each depends on its own text alone."""


def descend(
    text: Tensor, losses: Losses, *, radius: float, steps: int, starts: Sequence[Tensor] = ()
) -> Tensor:
    """Lower losses by projected gradient steps within the ball (Madry et al. 2018, arXiv 1706.06083, section 2.1).

    text: [n, ..., W]. Every text makes steps of the same length, 2.5 radius / steps as in their experiments, so that it
    can reach the edge and turn. It starts at the prompt itself and again at each of `starts`, texts in the ball; the
    end with the lowest loss, at a further step, is taken for each. Rows of zeros, words that are not there, stay so.
    """
    batches = Batches(len(text), what="prompts")

    def reached_by(found: Tensor) -> Tensor:
        parts = batches.over(
            range(len(found)), lambda rows: losses(found[_slice(rows)], steps, rows).detach()
        )
        return torch.cat([part for _, part in parts])

    best = _descended(text, text, losses, batches, radius=radius, steps=steps)
    if not starts:
        return best
    lowest = reached_by(best)
    for start in starts:
        found = _descended(text, start, losses, batches, radius=radius, steps=steps)
        reached = reached_by(found)
        better = (reached < lowest).view(-1, *[1] * (text.ndim - 1))
        best, lowest = torch.where(better, found, best), torch.minimum(reached, lowest)
    return best


def _descended(
    text: Tensor, start: Tensor, losses: Losses, batches: Batches, *, radius: float, steps: int
) -> Tensor:
    found = start.detach()
    there = present(text)[..., None]
    stride = 2.5 / steps * radius * size(text)
    for step in range(steps):
        slope = _slope(found, losses, step, batches) * there
        found = found - stride * slope / size(slope).clamp(min=torch.finfo(slope.dtype).tiny)
        found = within_ball(found, text, radius=radius)
    return found


def _slope(text: Tensor, losses: Losses, step: int, batches: Batches) -> Tensor:
    def part(rows: Sequence[int]) -> Tensor:
        leaf = text[_slice(rows)].clone().requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(losses(leaf, step, rows).sum(), leaf)
        return slope

    return torch.cat([slope for _, slope in batches.over(range(len(text)), part)])


def _slice(rows: Sequence[int]) -> slice:
    """Rows that follow each other, as a slice."""
    return slice(rows[0], rows[-1] + 1)


def scattered(text: Tensor, *, radius: float, count: int, seed: int) -> list[Tensor]:
    """Random texts in the ball around each text [n, 1 + m, W]: random directions, distances uniform up to the edge."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        change = torch.randn(text.shape, generator=generator).to(text) * present(text)[..., None]
        share = torch.rand(len(text), generator=generator).to(text).view(-1, *[1] * (text.ndim - 1))
        found.append(text + share * radius * size(text) * change / size(change))
    return found


def shared_change(text: Tensor, losses: Losses, *, radius: float, steps: int) -> Tensor:
    """Find one change for all texts [n, 1 + m, W], of the sentence vector and of every word alike: [2, W].

    A universal perturbation (Moosavi-Dezfooli et al. 2017, arXiv 1610.08401) by gradient steps on the mean loss; each
    text with the change is pulled back into its own ball (`with_change`).
    """
    change = torch.zeros(2, text.shape[-1]).to(text)
    stride = 2.5 / steps * radius * size(text).mean()
    batches = Batches(len(text), what="texts")

    def part(change: Tensor, step: int, rows: Sequence[int]) -> Tensor:
        leaf = change.clone().requires_grad_(True)
        with torch.enable_grad():
            changed = with_change(text[_slice(rows)], leaf, radius=radius)
            loss = losses(changed, step, rows).mean() * (len(rows) / len(text))
            (slope,) = torch.autograd.grad(loss, leaf)
        return slope

    for step in range(steps):
        slopes = [slope for _, slope in batches.over(range(len(text)), partial(part, change, step))]
        slope = slopes[0] if len(slopes) == 1 else torch.stack(slopes).sum(dim=0)
        change = change - stride * slope / slope.norm().clamp(min=torch.finfo(slope.dtype).tiny)
    return change


def with_change(text: Tensor, change: Tensor, *, radius: float) -> Tensor:
    """Add a change [2, W], of the sentence vector and of each word, to texts [n, 1 + m, W], within their balls."""
    rows = torch.cat([change[:1], change[1:].expand(text.shape[1] - 1, -1)])
    return within_ball(text + rows * present(text)[..., None], text, radius=radius)


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
