"""UCE, Unified Concept Editing: the projections of the text are re-solved in closed form.

Gandikota et al. 2024, "Unified Concept Editing in Diffusion Models" (arXiv 2308.14761), equation 7; the closed form
itself, which RECE shares, is in shared/unified.py.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from hmu_tasks.methods.method import NETWORKS, Colour, Method
from hmu_tasks.methods.shared.knobs import ConceptKnobs

if TYPE_CHECKING:
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs


class Uce(ConceptKnobs):
    """Unified Concept Editing."""


def apply(given: "Inputs", knobs: Uce, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of the text projections per strength and sample of captions."""
    from hmu_tasks.methods.shared import unified
    from hmu_tasks.methods.shared.text_edits import released_edit, text_edits

    if knobs.published:
        yield released_edit(given, unified.edit_as_released)
        return
    edit = partial(unified.edit, erase=knobs.erase, preserve=knobs.preserve, ridge=knobs.ridge)
    yield from text_edits(given, knobs, edit, seed=seed, target=knobs.target, scrambled=knobs.scrambled)


METHOD = Method(
    name="uce",
    label="UCE",
    section=Uce,
    changes=(NETWORKS,),
    apply=apply,
    colour=Colour("#e69f00", "#f0b429"),
    marker="^",
)
