"""UCE, Unified Concept Editing: the map of the sentence vector is solved anew, so that a concept reads as another text.

Gandikota et al. 2024, "Unified Concept Editing in Diffusion Models" (arXiv 2308.14761), equation 7; for
text-to-motion as in De Matteis et al. 2025, "Human Motion Unlearning" (arXiv 2503.18674).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from hmu_tasks.methods.shared.closed_form import (
    Projections,
    Texts,
    Wish,
    outputs_of,
    scale_of,
    solve,
    with_weight,
)

Technique = Literal["tensor", "replace"]

# Single words that the released scripts keep, and the text that the forgotten words are to read as.
PUBLISHED_RETAIN = (
    "walk",
    "walking",
    "run",
    "running",
    "jog",
    "step",
    "turn",
    "dance",
    "dancing",
    "move",
    "moving",
    "steps",
    "raise",
    "arm",
    "leg",
    "forward",
    "front",
    "backward",
    "sit",
    "dodge",
    "moves",
)
PUBLISHED_TARGET = ""


def edit(
    projections: Projections,
    texts: Texts,
    *,
    strength: float = 1.0,
    erase: float = 1.0,
    preserve: float = 1.0,
    ridge: float = 0.01,
) -> dict[str, nn.Linear]:
    """Return new maps that read each forget text as its target and each retain text as before.

    strength: share of the way from a forget text's own output to the target's; 0 changes nothing, more than 1
    overshoots. erase, preserve: weights of the mean errors over forget and over retain texts (means, so that the
    number of texts does not matter). ridge: hold on the old weight, in mean squares of the retain texts' entries.
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
                    keeping(weight, texts.retain, weight=preserve),
                ],
                ridge=ridge * scale_of(texts.retain),
            ),
        )
    return edited


def erasing(original: Tensor, texts: Texts, *, strength: float, weight: float) -> Wish:
    """Wish that forget texts move by `strength` from their own outputs to their targets' outputs."""
    own = outputs_of(texts.forget, original)
    aim = outputs_of(texts.target, original)
    return Wish(texts.forget, own + strength * (aim - own), weight / len(texts.forget))


def keeping(original: Tensor, retain: Tensor, *, weight: float) -> Wish:
    """Wish that retain texts [m, W] read as the original map reads them."""
    return Wish(retain, outputs_of(retain, original), weight / len(retain))


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
    """Return the maps as the released text-to-motion code edits them, its fault included.

    forget: [n, W]; retain: [m, W]; target: [W]. Plain sums over texts, not means. technique "tensor": the
    target's output without its part along the forgotten output (the default there); "replace": the target's output.
    The fault: outputs contain the bias, the new weight is solved to give all of it, and the old bias is added
    again, which shifts every prompt.
    """
    edited = {}
    for name, linear in projections.items():
        outputs = linear(target).expand(len(forget), -1)
        if technique == "tensor":
            own = linear(forget)
            own = own / own.norm(dim=1, keepdim=True)
            outputs = outputs - (own * outputs).sum(dim=1, keepdim=True) * own
        wishes = [Wish(forget, outputs, erase), Wish(retain, linear(retain), preserve)]
        edited[name] = with_weight(linear, solve(linear.weight.detach(), wishes, ridge=ridge))
    return edited
