"""Linear concept erasure: the text directions that separate forget from retain texts are projected out.

Belrose et al. 2023, "LEACE: Perfect linear concept erasure in closed form" (arXiv 2306.03819), for one binary
concept, folded into the projections that read the sentence vector and the word states.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from hmu_tasks.methods.method import NETWORKS, Colour, Method
from hmu_tasks.methods.shared.knobs import ShiftKnobs
from hmu_tasks.runtime.section import Count, Rate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hmu_tasks.methods.shared.closed_form import Projections, Texts
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs


class Erasure(ShiftKnobs):
    """Linear concept erasure: within so many kinds of texts, and with so much regularisation."""

    kinds: Count
    shrinkage: Rate


def apply(given: "Inputs", knobs: Erasure, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of the text projections per strength and sample of captions."""
    from hmu_tasks.methods.shared.text_edits import text_edits

    erase = partial(edit, kinds=knobs.kinds, shrinkage=knobs.shrinkage)
    yield from text_edits(given, knobs, erase, seed=seed)


def eraser(texts: "Texts", *, kinds: int = 1, shrinkage: float = 0.01) -> "tuple[Tensor, Tensor]":
    """Return directions D and detectors V [W, k] of the eraser c -> c - D V^T c, in float64.

    The first direction is the difference between the mean forget and the mean retain vector; the others are the same
    differences within each of `kinds` clusters of vectors (`kinds_of`; none for one). V weighs the entries by the
    inverse covariance of all texts (Belrose et al. 2023, theorem 4.2, for a concept of k dimensions), with V^T D = I
    and V^T (mean retain) = 0. The second condition replaces that paper's constant term: the mean retain text and the
    zero vector, which means "no text" in classifier-free guidance, are unchanged. Afterwards both sets have the same
    mean, as a whole and within each kind, so that no linear classifier separates them.
    shrinkage: added to the covariance, in mean squares of the retain texts' entries.
    """
    import torch

    from hmu_tasks.methods.shared.closed_form import scale_of

    forget, retain = texts.forget.double(), texts.retain.double()
    both = torch.cat([forget, retain])
    # Both sets weigh the same, however many texts they have.
    share = torch.cat([torch.full((len(part),), 0.5 / len(part)) for part in (forget, retain)]).to(both)
    centred = both - share @ both
    covariance = centred.T @ (share[:, None] * centred)
    covariance = covariance + shrinkage * scale_of(texts.retain) * torch.eye(both.shape[1]).to(both)

    def solved(directions: "Tensor") -> "Tensor":
        conditions = torch.cat([directions, retain.mean(dim=0)[:, None]], dim=1)
        weighed = torch.linalg.solve(covariance, conditions)
        # A kind whose difference follows from the others' adds nothing: hence the pseudo-inverse.
        inverse = torch.linalg.pinv(conditions.T @ weighed, rtol=1e-9, hermitian=True)
        detectors: Tensor = (weighed @ inverse)[:, : directions.shape[1]]
        return detectors

    whole = (forget.mean(dim=0) - retain.mean(dim=0))[:, None]
    if kinds == 1:
        return whole, solved(whole)
    detector = solved(whole)
    kinds = min(kinds, len(both))  # more would be empty
    # Kinds are to differ by everything but the concept.
    inside = kinds_of(both - both @ detector @ whole.T, kinds)
    differences = [whole]
    for kind in range(kinds):
        parts = [forget[inside[: len(forget)] == kind], retain[inside[len(forget) :] == kind]]
        if min(len(part) for part in parts) >= LEAST:
            differences.append((parts[0].mean(dim=0) - parts[1].mean(dim=0))[:, None])
    directions = torch.cat(differences, dim=1)
    return directions, solved(directions)


# Fewer vectors of a kind give no mean worth erasing.
LEAST = 5


def kinds_of(vectors: "Tensor", count: int, *, rounds: int = 15) -> "Tensor":
    """Divide vectors [n, W] into `count` clusters by Lloyd's k-means, which starts from vectors at equal distances."""
    import torch

    centres = vectors[torch.linspace(0, len(vectors) - 1, count).long()]
    for _ in range(rounds):
        nearest = torch.cdist(vectors, centres).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        counts = torch.bincount(nearest, minlength=count)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return torch.cdist(vectors, centres).argmin(dim=1)


def edit(
    projections: "Projections",
    texts: "Texts",
    *,
    strength: float = 1.0,
    kinds: int = 1,
    shrinkage: float = 0.01,
) -> "dict[str, nn.Linear]":
    """Return projections W (I - strength D V^T); strength 0 changes nothing, more than 1 overshoots. Biases stay."""
    from hmu_tasks.methods.shared.closed_form import with_weight

    directions, detectors = eraser(texts, kinds=kinds, shrinkage=shrinkage)
    edited = {}
    for name, linear in projections.items():
        weight = linear.weight.detach()
        change = weight.double() @ directions @ detectors.T
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
