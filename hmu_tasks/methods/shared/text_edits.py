"""Edits of the projections of the sentence vector: the texts that they are fitted to, and edits over strengths."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from hmu_tasks.methods.shared.closed_form import Projections, Texts, towards_retain
from hmu_tasks.methods.shared.cost import Cost
from hmu_tasks.methods.shared.edit import Edit
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.methods.shared.knobs import Target, TextKnobs
from hmu_tasks.models.generators.text_to_motion import TextToMotion

# Single words that the released scripts preserve, and the text that the forgotten words are mapped to.
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


class TextEdit(Protocol):
    """A closed-form edit; strength 1 is the full edit."""

    def __call__(self, projections: Projections, texts: Texts, *, strength: float) -> dict[str, nn.Linear]:
        """Return new projections; the inputs are not modified."""


class ReleasedEdit(Protocol):
    """An edit as the released code makes it; forget: [n, W], retain: [m, W], target: [W]."""

    def __call__(
        self, projections: Projections, forget: Tensor, retain: Tensor, target: Tensor
    ) -> dict[str, nn.Linear]:
        """Return new projections; the inputs are not modified."""


def text_edits(
    given: Inputs, knobs: TextKnobs, edit: TextEdit, *, seed: int, target: Target = "shifted"
) -> Iterator[Edit]:
    """Yield an edit of the projections per strength, which is in per cent."""
    model, texts = given.bundle.model, learned_texts(given, knobs, seed=seed, target=target)
    for strength in knobs.strengths:
        edited = edit(model.text_projections, texts, strength=strength / 100)
        report = {"texts": sizes(knobs.texts, texts.forget, texts.retain)}
        yield Edit(
            strength=strength,
            states=states_with(model, edited),
            report=report,
            cost=reading_cost(knobs, texts),
        )


def released_edit(given: Inputs, edit: ReleasedEdit) -> Edit:
    """Return the one edit of a method as released: single words, fixed weights, its bugs; no strength."""
    forget, retain, target = given.embed(given.keywords, PUBLISHED_RETAIN, [PUBLISHED_TARGET])
    model = given.bundle.model
    edited = edit(model.text_projections, forget, retain, target[0])
    report = {"texts": sizes("keywords", forget, retain), "published": True}
    return Edit(strength=None, states=states_with(model, edited), report=report)


def learned_texts(given: Inputs, knobs: TextKnobs, *, seed: int, target: Target = "shifted") -> Texts:
    """Embed the texts of the concept and of everything else."""
    written: list[Sequence[str]] = [given.keywords, PUBLISHED_RETAIN]
    if knobs.texts == "captions":
        known = given.captions
        seeds = [given.seed, seed]
        written = [sample(known[role], knobs.captions, seed=seeds) for role in ("forget", "retain")]
    forget, retain, empty = given.embed(*written, [PUBLISHED_TARGET])
    return Texts(
        forget, retain, towards_retain(forget, retain) if target == "shifted" else empty.expand_as(forget)
    )


def sample(captions: Sequence[str], count: int, *, seed: Sequence[int]) -> list[str]:
    """Sample `count` of the captions without replacement (all of them where there are fewer), in their order."""
    chosen = np.random.default_rng(list(seed)).permutation(len(captions))[:count]
    return [captions[i] for i in sorted(chosen)]


def sizes(kind: str, forget: Tensor, retain: Tensor) -> dict[str, Any]:
    """Record which texts an edit was fitted to, and how many."""
    return {"kind": kind, "forget": len(forget), "retain": len(retain)}


def reading_cost(knobs: TextKnobs, texts: Texts, *, extra_sampling: float = 1.0) -> Cost:
    """Cost of an edit; keywords do not count as captions of the training split."""
    read = len(texts.forget) + len(texts.retain) if knobs.texts == "captions" else 0
    return Cost(captions_read=read, extra_sampling=extra_sampling)


def states_with(model: TextToMotion, edited: Mapping[str, nn.Linear]) -> dict[str, dict[str, Tensor]]:
    """State dicts of the transformers with other projections."""
    after = model.with_text_projections(edited)
    return {name: after.networks[name].state_dict() for name in edited}
