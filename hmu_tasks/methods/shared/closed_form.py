"""Closed-form edits of the linear projections that read a text: what they share.

A text-to-motion model reads its prompt's sentence vector through one projection per transformer, y = W c + b, and the
states of its words, if it reads any, through another. An edit replaces W
and keeps b: then W' c + b = W t + b is equivalent to W' c = W t, so the bias drops out of the solution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hmu_tasks.runtime.errors import ConfigError

Projections = Mapping[str, nn.Linear]


@dataclass(frozen=True)
class Texts:
    """Vectors that an edit is fitted to: sentence vectors, or word states.

    forget: [n, W], of the concept; retain: [m, W], of everything to preserve; target: [n, W], the vector whose output
    each forget text is mapped to. scrambled: [k, W], texts of words that nobody knows, of which only the outputs are
    preserved.
    """

    forget: Tensor
    retain: Tensor
    target: Tensor
    scrambled: Tensor | None = None

    @property
    def kept(self) -> Tensor:
        """All texts whose outputs are preserved, [m + k, W]."""
        return self.retain if self.scrambled is None else torch.cat([self.retain, self.scrambled])

    def __post_init__(self) -> None:
        if not len(self.forget) or not len(self.retain):
            raise ConfigError("a closed-form edit needs forget and retain texts, at least one of either")
        if self.forget.shape != self.target.shape or self.forget.shape[1] != self.retain.shape[1]:
            raise ValueError(
                f"forget {list(self.forget.shape)}, target {list(self.target.shape)} and retain "
                f"{list(self.retain.shape)} must be vectors of one encoder, with a target for each forget text"
            )


def towards_retain(forget: Tensor, retain: Tensor) -> Tensor:
    """Targets [n, W] without the concept: each forget text shifted by the difference of the means.

    A single target for all sentences would also erase their differences (who, how often, other actions), which retain
    sentences share.
    """
    return forget - forget.mean(dim=0) + retain.mean(dim=0)


def nearest_retain(forget: Tensor, retain: Tensor) -> Tensor:
    """Targets [n, W] that are retain vectors: for each forget vector the one nearest to it after `towards_retain`.

    Nothing is left of what only forget texts say, such as which kick it is.
    """
    moved = torch.split(towards_retain(forget, retain), 2048)
    return torch.cat([retain[torch.cdist(part, retain).argmin(dim=1)] for part in moved])


@dataclass(frozen=True)
class Term:
    """One term of the least-squares objective: vectors [n, W], target outputs [n, O], weight of the sum."""

    texts: Tensor
    outputs: Tensor
    weight: float


def solve(weight: Tensor, terms: Sequence[Term], *, ridge: float) -> Tensor:
    """Return W' that minimises sum w |W' c - v|^2 + ridge |W' - W|^2, in the precision of W.

    weight: W, [O, W]. Solved for the change, in float64, so that W stays bit-identical if it already fits all
    terms. (The normal equation of UCE, Gandikota et al. 2024, equation 7, reads the same after
    W S + (V - W C) C^T replaces V C^T.)
    """
    start = weight.double()
    width = weight.shape[1]
    moment = ridge * torch.eye(width, dtype=torch.float64, device=weight.device)
    change = torch.zeros_like(start)
    for term in terms:
        texts = term.texts.double()
        moment = moment + term.weight * texts.T @ texts
        change = change + term.weight * (term.outputs.double() - outputs_of(texts, start)).T @ texts
    found: Tensor = start + torch.linalg.solve(moment, change.T).T
    if not bool(found.isfinite().all()):
        raise ConfigError("the closed form has no finite solution; raise the ridge")
    return found.to(weight.dtype)


def outputs_of(texts: Tensor, weight: Tensor) -> Tensor:
    """Outputs W c, without the bias, in float64: texts [..., W], weight [O, W] -> [..., O]."""
    out: Tensor = texts.double() @ weight.double().T
    return out


def with_weight(linear: nn.Linear, weight: Tensor) -> nn.Linear:
    """Return a projection with another weight [O, W] and the same bias; the input is not modified."""
    copy = nn.Linear(
        linear.in_features, linear.out_features, bias=linear.bias is not None, device=weight.device
    )
    copy.weight = nn.Parameter(weight.clone(), requires_grad=False)
    if linear.bias is not None:
        copy.bias = nn.Parameter(linear.bias.detach().clone(), requires_grad=False)
    return copy.eval()


def scale_of(texts: Tensor) -> float:
    """Mean square of an entry of vectors [n, W]: the unit of the ridge."""
    return float(texts.double().square().mean())
