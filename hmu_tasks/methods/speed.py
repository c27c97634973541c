"""SPEED: a concept's texts are mapped elsewhere by a change that retain texts cannot see.

Li et al. 2025, "SPEED: Scalable, Precise, and Efficient Concept Erasure for Diffusion Models" (arXiv 2503.07392),
section 3: the change of a projection is confined to the null space of the retain texts. UCE weighs what is kept against
what is removed; here the first is a constraint.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hmu_tasks.methods.method import NETWORKS, Colour, Method
from hmu_tasks.methods.shared.knobs import ShiftKnobs, Target
from hmu_tasks.runtime.section import Rate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hmu_tasks.methods.shared.closed_form import Projections, Texts
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs


class Speed(ShiftKnobs):
    """Null-space constrained editing; target and scrambled as in UCE.

    kept: share of the retain texts' energy (the trace of their second moments) whose directions the change must leave
    alone. With all of it nothing can change where retain texts reach every direction, as 1,000 of them do. ridge:
    penalty on the change, in mean squares of the retain texts' entries.
    """

    target: Target
    scrambled: Annotated[int, Field(ge=0)]
    kept: Annotated[float, Field(gt=0, lt=1)]
    ridge: Rate


def apply(given: "Inputs", knobs: Speed, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of the text projections per strength and sample of captions."""
    from hmu_tasks.methods.shared.text_edits import text_edits

    solve = partial(edit, kept=knobs.kept, ridge=knobs.ridge)
    yield from text_edits(given, knobs, solve, seed=seed, target=knobs.target, scrambled=knobs.scrambled)


def edit(
    projections: "Projections",
    texts: "Texts",
    *,
    strength: float = 1.0,
    kept: float = 0.95,
    ridge: float = 0.01,
) -> "dict[str, nn.Linear]":
    """Return new projections W + D P: forget texts move towards their targets' outputs as far as P lets them.

    D P minimises the mean of |D P c - strength (W t - W c)|^2 over forget texts c with targets t, and
    ridge |D P|^2 (section 3.1). P projects onto the null space of the retain texts (`null_space`).
    """
    import torch

    from hmu_tasks.methods.shared.closed_form import outputs_of, scale_of, with_weight

    free = null_space(texts.kept, kept=kept)
    seen = texts.forget.double() @ free @ free.T
    moment = seen.T @ seen / len(seen)
    moment = moment + ridge * scale_of(texts.retain) * torch.eye(len(moment)).to(moment)
    edited = {}
    for name, linear in projections.items():
        weight = linear.weight.detach()
        missing = strength * (outputs_of(texts.target, weight) - outputs_of(texts.forget, weight))
        change = torch.linalg.solve(moment, (missing.T @ seen / len(seen)).T).T
        edited[name] = with_weight(linear, (weight.double() + change).to(weight.dtype))
    return edited


def null_space(retain: "Tensor", *, kept: float) -> "Tensor":
    """Return an orthonormal basis [W, k] of the directions that hold what is left of the retain texts' energy.

    retain: [m, W]. The leading eigenvectors of their second moments, as many as hold the share `kept` of the trace,
    are left out.
    """
    import torch

    values, vectors = torch.linalg.eigh(retain.double().T @ retain.double())
    below = values.clamp(min=0).cumsum(0)
    free: Tensor = vectors[:, below <= (1 - kept) * below[-1]]
    return free


METHOD = Method(
    name="speed",
    label="SPEED",
    section=Speed,
    changes=(NETWORKS,),
    apply=apply,
    colour=Colour("#bcbd22", "#d9da5a"),
    marker="8",
)
