"""Negative guidance: every sample is steered away from the concept, with unchanged weights.

Classifier-free guidance (Ho and Salimans 2022) with a third condition, as negative prompts are used in image
generation: u + s ((c - u) - g (n - u)), where c, u and n are the logits for the prompt, for no text, and for the
concept.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hmu_tasks.methods.method import NETWORKS, Colour, Method, Strength
from hmu_tasks.methods.shared.knobs import TextKnobs

if TYPE_CHECKING:
    from torch import Tensor

    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs
    from hmu_tasks.models.generators.sampling import Negative


class Guidance(TextKnobs):
    """Negative guidance: strengths in per cent of the guidance towards the prompt."""


def apply(given: "Inputs", knobs: Guidance, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit per strength and sample of captions: a text beside the original's weights."""
    from hmu_tasks.methods.shared.edit import Edit, ListedChanges
    from hmu_tasks.methods.shared.text_edits import reading_cost, written_texts

    texts = written_texts(given, knobs, seed=seed)
    for strength in knobs.strengths:
        yield Edit(
            strength=strength,
            negative=negative(texts.forget, strength=strength / 100) if strength else None,
            report={"texts": texts.sizes(knobs.texts)},
            # The prompt, no text and the concept: three passes instead of two.
            cost=reading_cost(knobs, texts, extra_sampling=1.5 if strength else 1.0),
            listed=ListedChanges(untouched=False),
        )


def negative(forget: "Tensor", *, strength: float = 0.25) -> "Negative":
    """Return the negative text, with `strength` of the guidance towards the prompt.

    forget: [n, 1 + m, W] embedded texts. The negative has their mean sentence vector, and the words of the text whose
    sentence vector is nearest to it: means of words at different positions would be no words.
    """
    from hmu_tasks.models.generators.sampling import Negative

    sentences = forget[:, 0]
    mean = sentences.mean(dim=0)
    text = forget[(sentences - mean).norm(dim=1).argmin()].clone()
    text[0] = mean
    return Negative(text, strength)


METHOD = Method(
    name="guidance",
    label="negative guidance",
    short="guidance",
    section=Guidance,
    changes=(NETWORKS,),  # files beside their weights
    apply=apply,
    colour=Colour("#8b7355", "#b79c79"),
    marker="X",
    strength=Strength(axis="share of the guidance, %"),
)
