"""UCE's closed form: projections re-solved so that a concept's text maps to another text's output; also used by RECE.

Gandikota et al. 2024, "Unified Concept Editing in Diffusion Models" (arXiv 2308.14761), equation 7; for
text-to-motion as in De Matteis et al. 2025, "Human Motion Unlearning" (arXiv 2503.18674).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from hmu_tasks.methods.shared.closed_form import (
    Projections,
    Term,
    Texts,
    outputs_of,
    scale_of,
    solve,
    with_weight,
)

Technique = Literal["tensor", "replace"]


def edit(
    projections: Projections,
    texts: Texts,
    *,
    strength: float = 1.0,
    erase: float = 1.0,
    preserve: float = 1.0,
    ridge: float = 0.01,
) -> dict[str, nn.Linear]:
    """Return new projections that map each forget text to its target's output and keep the outputs of retain texts.

    strength: interpolation from a forget text's own output (0) to the target's (1); more than 1 overshoots. erase,
    preserve: weights of the mean errors over forget and over retain texts (means, so that the number of texts does
    not matter). ridge: penalty on changing the weight, in mean squares of the retain texts' entries.
    """
    edited = {}
    for name, linear in projections.items():
        weight = linear.weight.detach()
        edited[name] = with_weight(
            linear,
            solve(
                weight,
                [
                    erasing(weight, texts, strength=strength, weight=erase),
                    keeping(weight, texts.kept, weight=preserve),
                ],
                ridge=ridge * scale_of(texts.retain),
            ),
        )
    return edited


def erasing(original: Tensor, texts: Texts, *, strength: float, weight: float) -> Term:
    """Term that moves forget texts by `strength` from their own outputs to their targets' outputs."""
    own = outputs_of(texts.forget, original)
    aim = outputs_of(texts.target, original)
    return Term(texts.forget, own + strength * (aim - own), weight / len(texts.forget))


def keeping(original: Tensor, retain: Tensor, *, weight: float) -> Term:
    """Term that keeps the outputs of retain texts [m, W]."""
    return Term(retain, outputs_of(retain, original), weight / len(retain))


@torch.no_grad()
def edit_as_released(
    projections: Projections,
    forget: Tensor,
    retain: Tensor,
    target: Tensor,
    *,
    erase: float = 0.1,
    preserve: float = 0.1,
    ridge: float = 0.1,
    technique: Technique = "tensor",
) -> dict[str, nn.Linear]:
    """Return the projections as the released text-to-motion code edits them, including its bug.

    forget: [n, W]; retain: [m, W]; target: [W]. Plain sums over texts, not means. technique "tensor": the
    target's output without its part along the forgotten output (the default there); "replace": the target's output.
    The bug: target outputs contain the bias, which the new weight is solved to reproduce, and the old bias is added
    again, which shifts every prompt.
    """
    edited = {}
    for name, linear in projections.items():
        outputs = linear(target).expand(len(forget), -1)
        if technique == "tensor":
            own = linear(forget)
            own = own / own.norm(dim=1, keepdim=True)
            outputs = outputs - (own * outputs).sum(dim=1, keepdim=True) * own
        terms = [Term(forget, outputs, erase), Term(retain, linear(retain), preserve)]
        edited[name] = with_weight(linear, solve(linear.weight.detach(), terms, ridge=ridge))
    return edited
