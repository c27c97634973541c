"""Edits of the projections of the text: the texts that they are fitted to, and edits over strengths.

The projection of the sentence vector is fitted to sentence vectors, that of the word states to word states, each by
itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from hmu_tasks.methods.shared.closed_form import Projections, Texts, nearest_retain, towards_retain
from hmu_tasks.methods.shared.cost import Cost
from hmu_tasks.methods.shared.edit import Edit
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.methods.shared.knobs import Target, TextKnobs
from hmu_tasks.models.generators.text_to_motion import Level, TextToMotion
from hmu_tasks.models.text.embeddings import present

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
    given: Inputs,
    knobs: TextKnobs,
    edit: TextEdit,
    *,
    seed: int,
    target: Target = "shifted",
    scrambled: int = 0,
) -> Iterator[Edit]:
    """Yield an edit of the projections per strength, which is in per cent."""
    model, texts = given.bundle.model, written_texts(given, knobs, seed=seed, scrambled=scrambled)
    learned = texts.by_level(target)
    for strength in knobs.strengths:
        edited = {
            level: edit(projections, learned[level], strength=strength / 100)
            for level, projections in model.text_projections.items()
        }
        yield Edit(
            strength=strength,
            states=states_with(model, edited),
            report={"texts": texts.sizes(knobs.texts)},
            cost=reading_cost(knobs, texts),
        )


def released_edit(given: Inputs, edit: ReleasedEdit) -> Edit:
    """Return the one edit of a method as released: single words, fixed weights, its bugs; no strength."""
    model = given.bundle.model
    texts = Written(*given.embed(given.keywords, PUBLISHED_RETAIN, [PUBLISHED_TARGET]))
    learned = texts.by_level("empty")
    edited = {
        level: edit(projections, learned[level].forget, learned[level].retain, learned[level].target[0])
        for level, projections in model.text_projections.items()
    }
    report = {"texts": texts.sizes("keywords"), "published": True}
    return Edit(strength=None, states=states_with(model, edited), report=report)


@dataclass(frozen=True)
class Written:
    """Embedded texts that an edit learns from: forget [n, 1 + m, W], retain [...], and the empty one [1, ...].

    scrambled: retain captions with meaningless words, [k, ...].
    """

    forget: Tensor
    retain: Tensor
    empty: Tensor
    scrambled: Tensor | None = None

    def by_level(self, target: Target) -> dict[Level, Texts]:
        """Pair sentence vectors, and word states where the encoder gives any, with what they are to read as."""
        found: dict[Level, Texts] = {
            "sentence": _texts(self.forget[:, 0], self.retain[:, 0], self.empty[:, 0], target)
        }
        forget, retain, empty = (words_of(text) for text in (self.forget, self.retain, self.empty))
        if len(forget):
            found["word"] = _texts(forget, retain, empty, target)
        if self.scrambled is None:
            return found
        kept = {"sentence": self.scrambled[:, 0], "word": words_of(self.scrambled)}
        return {level: replace(texts, scrambled=kept[level]) for level, texts in found.items()}

    def sizes(self, kind: str) -> dict[str, Any]:
        """Say which texts an edit learned from, and how many."""
        scrambled = 0 if self.scrambled is None else len(self.scrambled)
        return {"kind": kind, "forget": len(self.forget), "retain": len(self.retain), "scrambled": scrambled}


def words_of(text: Tensor) -> Tensor:
    """States of all words of some texts: [n, 1 + m, W] -> [N, W]."""
    return text[:, 1:][present(text[:, 1:])]


def _texts(forget: Tensor, retain: Tensor, empty: Tensor, target: Target) -> Texts:
    targets = {
        "nearest": lambda: nearest_retain(forget, retain),
        "shifted": lambda: towards_retain(forget, retain),
        "empty": lambda: empty[:1].expand_as(forget),
    }
    return Texts(forget, retain, targets[target]())


def written_texts(given: Inputs, knobs: TextKnobs, *, seed: int, scrambled: int = 0) -> Written:
    """Embed what stands for the concept and for the rest; scrambled: so many more captions of the rest are
    scrambled; none with keywords, which read no caption.
    """
    written: list[Sequence[str]] = [given.keywords, PUBLISHED_RETAIN]
    if knobs.texts == "captions":
        known = given.captions
        seeds = [given.seed, seed]
        written = [sample(known[role], knobs.captions, seed=seeds) for role in ("forget", "retain")]
    if not scrambled or knobs.texts == "keywords":
        return Written(*given.embed(*written, [PUBLISHED_TARGET]))
    sources = sample(given.captions["retain"], scrambled, seed=[given.seed, seed, 1])
    rng = np.random.default_rng([given.seed, seed, 2])
    return Written(*given.embed(*written, [PUBLISHED_TARGET], [scramble(text, rng) for text in sources]))


def scramble(text: str, rng: np.random.Generator) -> str:
    """Replace about half of a text's words by random letters of the same number."""
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return " ".join(
        "".join(rng.choice(letters, len(word))) if rng.random() < 0.5 else word for word in text.split()
    )


def sample(captions: Sequence[str], count: int, *, seed: Sequence[int]) -> list[str]:
    """Sample `count` of the captions without replacement (all of them where there are fewer), in their order."""
    chosen = np.random.default_rng(list(seed)).permutation(len(captions))[:count]
    return [captions[i] for i in sorted(chosen)]


def reading_cost(knobs: TextKnobs, texts: Written, *, extra_sampling: float = 1.0) -> Cost:
    """Cost of an edit; keywords do not count as captions of the training split."""
    read = len(texts.forget) + len(texts.retain) if knobs.texts == "captions" else 0
    read += 0 if texts.scrambled is None else len(texts.scrambled)
    return Cost(captions_read=read, extra_sampling=extra_sampling)


def states_with(
    model: TextToMotion, edited: Mapping[Level, Mapping[str, nn.Linear]]
) -> dict[str, dict[str, Tensor]]:
    """State dicts of the networks with other projections, which are as in `TextToMotion.text_projections`."""
    after = model.with_text_projections(edited)
    names = dict.fromkeys(name for projections in edited.values() for name in projections)
    return {name: after.networks[name].state_dict() for name in names}
