"""RECE: UCE, then rounds that find, in closed form, the text that still evokes the concept and erase it as well.

Gong et al. 2024, "Reliable and Efficient Concept Erasure of Text-to-Image Diffusion Models" (arXiv 2407.12383),
section 3.2; for text-to-motion as in De Matteis et al. 2025, "Human Motion Unlearning" (arXiv 2503.18674).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hmu_tasks.methods.method import NETWORKS, Colour, Method
from hmu_tasks.methods.shared.knobs import ConceptKnobs
from hmu_tasks.runtime.section import Rate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hmu_tasks.methods.shared.closed_form import Projections, Texts
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs


class Rece(ConceptKnobs):
    """UCE with rounds against adversarial vectors."""

    rounds: Annotated[int, Field(ge=0)]
    adversarial_ridge: Rate


def apply(given: "Inputs", knobs: Rece, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of the text projections per strength and sample of captions."""
    from hmu_tasks.methods.shared.text_edits import released_edit, text_edits

    if knobs.published:
        yield released_edit(given, partial(edit_as_released, rounds=knobs.rounds))
        return
    resistant = partial(
        edit,
        erase=knobs.erase,
        preserve=knobs.preserve,
        ridge=knobs.ridge,
        rounds=knobs.rounds,
        adversarial_ridge=knobs.adversarial_ridge,
    )
    yield from text_edits(given, knobs, resistant, seed=seed, target=knobs.target, scrambled=knobs.scrambled)


def adversarial(
    edited: "Sequence[Tensor]", original: "Sequence[Tensor]", texts: "Tensor", *, ridge: float
) -> "Tensor":
    """Return the vectors whose outputs under `edited` come closest to those of `texts` under `original`.

    edited, original: weights [O_i, W] of all projections, which share one vector. texts: [n, W]. Minimises
    sum_i |W'_i a - W_i c|^2 + ridge |a|^2, hence a = (sum W'^T W' + ridge I)^-1 (sum W'^T W) c. The bias, the
    same on both sides, drops out.
    """
    import torch

    width = texts.shape[1]
    left = ridge * torch.eye(width, dtype=torch.float64, device=texts.device)
    right = torch.zeros_like(left)
    for new, old in zip(edited, original, strict=True):
        left = left + new.double().T @ new.double()
        right = right + new.double().T @ old.double()
    found: Tensor = torch.linalg.solve(left, right @ texts.double().T).T
    return found.to(texts.dtype)


def edit(
    projections: "Projections",
    texts: "Texts",
    *,
    strength: float = 1.0,
    erase: float = 1.0,
    preserve: float = 1.0,
    ridge: float = 0.01,
    rounds: int = 3,
    adversarial_ridge: float = 0.1,
) -> "dict[str, nn.Linear]":
    """Return new projections that resist the adversarial vectors of `rounds` rounds; 0 rounds are UCE.

    strength, erase, preserve, ridge: as for UCE. adversarial_ridge: keeps adversarial vectors small, in mean
    eigenvalues of sum W^T W. Each round solves from the original projections again, with the forget texts and the
    vectors of all rounds so far: the paper continues from the projections of the previous round, where earlier erasures
    and preserved outputs drift with every round. An adversarial vector is mapped to the target of the text that it
    imitates.
    """
    from hmu_tasks.methods.shared import unified
    from hmu_tasks.methods.shared.closed_form import scale_of, solve, with_weight

    original = {name: linear.weight.detach() for name, linear in projections.items()}
    edited = unified.edit(projections, texts, strength=strength, erase=erase, preserve=preserve, ridge=ridge)
    width = texts.forget.shape[1]
    size = sum(float(weight.double().square().sum()) for weight in original.values()) / width
    terms = {
        name: [
            unified.erasing(weight, texts, strength=strength, weight=erase),
            unified.keeping(weight, texts.kept, weight=preserve),
        ]
        for name, weight in original.items()
    }
    for _ in range(rounds if strength else 0):
        attack = adversarial(
            [linear.weight.detach() for linear in edited.values()],
            list(original.values()),
            texts.forget,
            ridge=adversarial_ridge * size,
        )
        for name, weight in original.items():
            terms[name].append(replace(terms[name][0], texts=attack))
            solved = solve(weight, terms[name], ridge=ridge * scale_of(texts.retain))
            edited[name] = with_weight(projections[name], solved)
    return edited


def edit_as_released(
    projections: "Projections",
    forget: "Tensor",
    retain: "Tensor",
    target: "Tensor",
    *,
    erase: float = 0.1,
    preserve: float = 0.1,
    ridge: float = 0.1,
    rounds: int = 3,
    adversarial_ridge: float = 1e-3,
) -> "dict[str, nn.Linear]":
    """Return the projections as the released text-to-motion code edits them, including its bugs.

    In addition to UCE's bug, both factors of the adversarial vector are taken from the edited projections, so that it
    is the forgotten text itself, slightly shrunk, and not an attack.
    """
    from hmu_tasks.methods.shared import unified

    released = partial(unified.edit_as_released, erase=erase, preserve=preserve, ridge=ridge)
    current = released(projections, forget, retain, target)
    for _ in range(rounds):
        weights = [linear.weight.detach() for linear in current.values()]
        attack = adversarial(weights, weights, forget, ridge=adversarial_ridge)
        current = released(current, attack, retain, target)
    return current


METHOD = Method(
    name="rece",
    label="RECE",
    section=Rece,
    changes=(NETWORKS,),
    apply=apply,
    colour=Colour("#cc79a7", "#e29ac2"),
    marker="v",
)
