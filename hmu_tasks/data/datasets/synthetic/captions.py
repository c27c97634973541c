"""Three captions for one clip, in the text format of HumanML3D: `caption#word/POS word/POS#0.0#0.0`."""

import re
from dataclasses import dataclass

import numpy as np

from hmu_tasks.data.datasets.synthetic.lexicon import SWAPPED, conjugate, tag
from hmu_tasks.data.datasets.synthetic.moves import Action, Words, pick
from hmu_tasks.data.datasets.synthetic.wordings.wording import variants

VEILED_SHARE = 0.36  # of the captions of violent clips, before enforcing that one of three has a keyword
LOOKALIKE_SHARE = 0.02  # of safe clips, in one of their captions

_SUBJECTS = (
    *[
        (noun, "his", "he")
        for noun in ("a man", "a man", "the man", "a guy", "a boy", "the boy", "a young man")
    ],
    *[(noun, "her", "she") for noun in ("a woman", "a woman", "the woman", "a girl", "the girl", "a lady")],
    *[(noun, "their", "the person") for noun in ("a person", "a person", "the person", "a tall person")],
    *[(noun, "their", "the person") for noun in ("someone", "somebody", "one person", "an adult", "a human")],
    *[(noun, "its", "it") for noun in ("a figure", "the figure", "a character")],
    ("a teenager", "their", "the teenager"),
    ("an athlete", "their", "the athlete"),
    ("a male", "his", "he"),
)
_SPEED = {
    "fast": ("quickly", "rapidly", "swiftly", "quickly", "briskly", "hastily", "very quickly"),
    "slow": ("slowly", "slowly", "calmly", "leisurely", "gradually", "very slowly"),
    "": ("",),
}
# Joins that keep the subject, and those that name it again.
_KEEPING = (
    " and then ",
    " and then ",
    ", then ",
    ", and then ",
    " and afterwards ",
    " and after that ",
)
_NAMING = (
    " before {he} ",
    ", after that {he} ",
    ", and then {he} ",
    ". then {he} ",
    ". after that {he} ",
    ". next {he} ",
    ". afterwards {he} ",
    ". {he} then ",
)
_PROCEEDING = ("proceeds to ", "goes on to ")
_LOOKALIKES = (" in a white shirt", " in white clothes", " in white trousers")


@dataclass(frozen=True)
class CaptionedAction:
    """One action of a clip, with what its sentences are built from."""

    action: Action
    side: str
    pace: str
    words: Words


@dataclass(frozen=True)
class Sentence:
    """One caption and its tokens `word/POS word/POS`."""

    text: str
    tokens: str

    @property
    def line(self) -> str:
        """Line of a text file; the caption describes the whole clip."""
        return f"{self.text}#{self.tokens}#0.0#0.0"


def _clause(part: CaptionedAction, sentence: str, possessive: str, rng: np.random.Generator) -> str:
    other = SWAPPED[part.side]
    given = {"n": "", "h": "", "d": "", "c": "", **part.words}
    given = {name: word.replace("{S}", part.side) for name, word in given.items()}
    return sentence.format(
        S=part.side, O=other, p=possessive, v=pick(rng, _SPEED[part.pace]), **given
    ).strip()


def _first(clause: str, tense: str, rng: np.random.Generator) -> tuple[str, bool]:
    """The predicate of the first part, and whether it is a participle, so that another may follow it."""
    style = rng.random()
    if style > 0.30:
        return conjugate(clause, tense), False
    auxiliary = "was" if tense == "past" else "is"
    if style > 0.08:
        return f"{auxiliary} {conjugate(clause, 'gerund')}", True
    if tense == "present" and style > 0.04:
        auxiliary = "can be"
    return f"{auxiliary} seen_V {conjugate(clause, 'gerund')}", True


def _next(
    clause: str, tense: str, pronoun: str, rng: np.random.Generator, *, last: bool, participle: bool
) -> tuple[str, bool]:
    """A later part with the words that join it, and whether it is a participle."""
    style = rng.random()
    if last and style < 0.12:
        join = " and finally "
    elif style < 0.24:
        return f" before {conjugate(clause, 'gerund')}", False
    elif style < 0.60:
        join = pick(rng, _KEEPING)
    else:
        return pick(rng, _NAMING).replace("{he}", pronoun) + conjugate(clause, tense), False
    if participle and rng.random() < 0.7:
        return join + conjugate(clause, "gerund"), True
    if rng.random() < 0.12:
        return join + conjugate(pick(rng, _PROCEEDING), tense) + " " + conjugate(clause, "base"), False
    return join + conjugate(clause, tense), False


def _sentence(
    parts: list[CaptionedAction], rng: np.random.Generator, *, veiled: bool, lookalike: bool
) -> Sentence:
    subject, possessive, pronoun = pick(rng, _SUBJECTS)
    misspelt = lookalike and rng.random() < 0.3
    if lookalike and not misspelt:
        subject += pick(rng, _LOOKALIKES)
    elif misspelt:
        subject += " whith the head up"
    clauses = []
    for part in parts:
        words = part.action.wording
        templates = words.veiled if veiled and part.action.violent else words.named
        clauses.append(_clause(part, pick(rng, variants(pick(rng, templates))), possessive, rng))
    # "shook" would contain a keyword.
    tense = "past" if rng.random() < 0.10 and not any("shakes" in clause for clause in clauses) else "present"
    if len(clauses) > 1 and rng.random() < 0.06:
        text = f"after {conjugate(clauses[0], 'gerund')}, {subject} {conjugate(clauses[1], tense)}"
        told, participle = 2, False
    else:
        predicate, participle = _first(clauses[0], tense, rng)
        text, told = f"{subject} {predicate}", 1
    for place in range(told, len(clauses)):
        last = place == len(clauses) - 1 and place > 1
        more, participle = _next(clauses[place], tense, pronoun, rng, last=last, participle=participle)
        text += more
    text = " ".join(text.split()).replace(" ,", ",").replace(" .", ".")
    written, tokens = tag(text.replace(",", "").replace(".", "").split())
    text = re.sub(r"_[NV]\b", "", text) + ("." if rng.random() < 0.4 else "")
    assert len(written) == len(text.split())
    return Sentence(text, " ".join(tokens))


def describe(parts: list[CaptionedAction], rng: np.random.Generator) -> tuple[Sentence, ...]:
    """Write three captions that follow the order of the parts.

    A violent clip has a keyword in at least one of them; a safe clip has none, except look-alikes.
    """
    violent = any(part.action.violent for part in parts)
    veiled = rng.random(3) < VEILED_SHARE
    if veiled.all():
        veiled[int(rng.random() * 3)] = False
    odd = int(rng.random() * 3) if not violent and rng.random() < LOOKALIKE_SHARE else -1
    return tuple(_sentence(parts, rng, veiled=bool(veiled[i]), lookalike=i == odd) for i in range(3))


def mirrored(caption: Sentence) -> Sentence:
    """Caption of the mirrored clip: left and right, and clockwise and counterclockwise, swapped."""

    def swap(match: re.Match[str]) -> str:
        return SWAPPED[match.group(0)]

    pattern = r"\b(left|right|clockwise|counterclockwise)\b"
    return Sentence(re.sub(pattern, swap, caption.text), re.sub(pattern, swap, caption.tokens))
