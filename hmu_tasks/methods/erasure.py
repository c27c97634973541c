"""Linear concept erasure: the direction that tells forget from retain texts is projected away.

Belrose et al. 2023, "LEACE: Perfect linear concept erasure in closed form" (arXiv 2306.03819), for one binary
concept, folded into the projections that read the sentence vector and the word states.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from hmu_tasks.methods.method import NETWORKS, Colour, Method
from hmu_tasks.methods.shared.knobs import TextKnobs
from hmu_tasks.runtime.section import Rate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hmu_tasks.methods.shared.closed_form import Projections, Texts
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs


class Erasure(TextKnobs):
    """Linear concept erasure."""

    shrinkage: Rate


def apply(given: "Inputs", knobs: Erasure, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of the text projections per strength and sample of captions."""
    from hmu_tasks.methods.shared.text_edits import text_edits

    yield from text_edits(given, knobs, partial(edit, shrinkage=knobs.shrinkage), seed=seed)


def eraser(texts: "Texts", *, shrinkage: float = 0.01) -> "tuple[Tensor, Tensor]":
    """Return the direction d and the detector w [W] of the eraser c -> c - (w . c) d, in float64.

    d is the difference between the mean forget and the mean retain vector; w weighs the entries by the inverse
    covariance of all texts (Belrose et al. 2023, theorem 4.2, where the eraser has rank one for a binary
    concept), with w . d = 1 and w . mean retain = 0. The second condition replaces that paper's constant term: the
    mean retain text and the zero vector, which stands for "no text" in classifier-free guidance, stay where they are.
    Afterwards both sets have the same mean, so that no linear classifier tells them apart.
    shrinkage: added to the covariance, in mean squares of the retain texts' entries.
    """
    import torch

    from hmu_tasks.methods.shared.closed_form import scale_of

    forget, retain = texts.forget.double(), texts.retain.double()
    direction = forget.mean(dim=0) - retain.mean(dim=0)
    both = torch.cat([forget, retain])
    # Either set weighs the same, however many texts it has.
    share = torch.cat([torch.full((len(part),), 0.5 / len(part)) for part in (forget, retain)]).to(both)
    centred = both - share @ both
    covariance = centred.T @ (share[:, None] * centred)
    covariance = covariance + shrinkage * scale_of(texts.retain) * torch.eye(len(direction)).to(both)
    conditions = torch.stack([direction, retain.mean(dim=0)], dim=1)
    solved = torch.linalg.solve(covariance, conditions)
    detector = torch.linalg.solve(conditions.T @ solved, solved.T)[0]
    return direction, detector


def edit(
    projections: "Projections", texts: "Texts", *, strength: float = 1.0, shrinkage: float = 0.01
) -> "dict[str, nn.Linear]":
    """Return projections W (I - strength d w^T); strength 0 changes nothing, more than 1 overshoots. Biases stay."""
    import torch

    from hmu_tasks.methods.shared.closed_form import with_weight

    direction, detector = eraser(texts, shrinkage=shrinkage)
    edited = {}
    for name, linear in projections.items():
        weight = linear.weight.detach()
        change = torch.outer(weight.double() @ direction, detector)
        edited[name] = with_weight(linear, (weight.double() - strength * change).to(weight.dtype))
    return edited


METHOD = Method(
    name="erasure",
    label="linear erasure",
    short="erasure",
    section=Erasure,
    changes=(NETWORKS,),
    apply=apply,
    colour=Colour("#56b4e9", "#8ad0ff"),
    marker="P",
)
