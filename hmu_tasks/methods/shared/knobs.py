"""Knobs that several methods have: of edits on the text side, of concept edits, and of methods that train."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.methods.method import Knobs, Sweep
from hmu_tasks.runtime.section import Count, Rate, Section

Kind = Literal["captions", "keywords"]
Target = Literal["nearest", "shifted", "empty"]


class TextKnobs(Knobs):
    """Edits on the text side: strengths in per cent, and the texts that they are fitted to.

    texts: training captions, or the concept's single words against the released ones. captions: how many are sampled
    from the forget and from the retain set, with the seed.
    """

    strengths: list[Annotated[int, Field(ge=0, le=999)]]
    texts: Kind
    captions: Count


class ShiftKnobs(TextKnobs):
    """Linear shifts away from the concept, of which 100 per cent removes it.

    reflection: allow strengths above 100, which reflect the concept to its other side instead of removing it.
    """

    reflection: bool

    @model_validator(mode="after")
    def _a_removal_ends_at_100(self) -> "ShiftKnobs":
        beyond = [strength for strength in self.strengths if strength > 100]
        if beyond and not self.reflection:
            raise ValueError(
                f"strengths holds {', '.join(map(str, beyond))}: above 100 per cent the concept is reflected, "
                "not removed; take them out, or set reflection: true"
            )
        return self


class ConceptKnobs(ShiftKnobs):
    """Unified Concept Editing, which RECE builds on.

    target: the text whose output a forget text is mapped to: the retain text most like it (`nearest`), itself shifted
    by the difference of the means (`shifted`), or the empty text.
    scrambled: how many retain captions with half of their words replaced by meaningless ones are preserved, too, so
    that sentences of unknown words stay where they are.
    published: one edit with the released words, weights and bugs, without a strength.
    """

    target: Target
    scrambled: Annotated[int, Field(ge=0)]
    erase: Rate
    preserve: Rate
    ridge: Rate
    published: bool

    @property
    def sweep(self) -> Sweep:
        """The configured edits."""
        return Sweep((None,), (0,)) if self.published else super().sweep


class TunedKnobs(Knobs):
    """Methods that train: optimiser steps after which an edit is kept, batch size, learning rate."""

    batch: Count
    rate: Rate


class PruningKnobs(Section):
    """Which codes may be deleted, and which directions of the texts are projected out.

    score: counts all tokens of forget clips (`ratio`), or only those that show the concept, judged by the tokens beside
    them (`context`). support: codes that occur less often among the tokens counted are never deleted. directions: of
    the sentence vectors; word_directions: of the words. captions: number from each of the forget and retain sets.
    shrinkage: of the words' covariance, in mean squares.
    """

    score: Literal["ratio", "context"]
    support: Count
    directions: Count
    word_directions: Annotated[int, Field(ge=0)]
    captions: Count
    shrinkage: Rate


def check_codes(count: int, *, codes: int, key: str) -> None:
    """Raise ValueError where `count`, under `key` of params.yaml, is more codes than a tokenizer can lose."""
    if count >= codes - 1:
        raise ValueError(f"{key} is {count} codes, but train.tokenizer.codes is {codes}: two codes must stay")


class LessonKnobs(Section):
    """How a student learns: with warm-up and cosine decay, at a highest learning rate of `rate`.

    noise: share of its first parameters that is a random initialisation's; the rest is the teacher's.
    """

    noise: Annotated[float, Field(gt=0, le=1)]
    steps: Count
    batch: Count
    rate: Rate
