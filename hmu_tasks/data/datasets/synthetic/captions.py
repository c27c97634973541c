"""Three captions for one clip, in the text format of HumanML3D: `caption#word/POS word/POS#0.0#0.0`."""

import re
from dataclasses import dataclass

import numpy as np

from hmu_tasks.data.datasets.synthetic.lexicon import SWAPPED, tag
from hmu_tasks.data.datasets.synthetic.moves import Action, Words, pick

VEILED_SHARE = 0.36  # of the captions of violent clips, before enforcing that one of three has a keyword
LOOKALIKE_SHARE = 0.02  # of safe clips, in one of their captions

_SUBJECTS = (
    ("a man", "his", "he"),
    ("a man", "his", "he"),
    ("the man", "his", "he"),
    ("a woman", "her", "she"),
    ("a person", "their", "the person"),
    ("a person", "their", "the person"),
    ("the person", "their", "the person"),
    ("someone", "their", "the person"),
    ("a figure", "its", "it"),
    ("a guy", "his", "he"),
    ("a girl", "her", "she"),
    ("a boy", "his", "he"),
)
_SPEED = {
    "fast": ("quickly", "rapidly", "swiftly", "quickly"),
    "slow": ("slowly", "slowly", "calmly", "leisurely"),
    "": ("",),
}
_JOINS = (
    " and then ",
    ", then ",
    " and afterwards ",
    " before {he} ",
    ", after that {he} ",
    ". then {he} ",
    ". after that {he} ",
    " and then ",
)
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
    return sentence.format(S=part.side, O=other, p=possessive, v=pick(rng, _SPEED[part.pace]), **given)


def _sentence(
    parts: list[CaptionedAction], rng: np.random.Generator, *, veiled: bool, lookalike: bool
) -> Sentence:
    subject, possessive, pronoun = pick(rng, _SUBJECTS)
    misspelt = lookalike and rng.random() < 0.3
    if lookalike and not misspelt:
        subject += pick(rng, _LOOKALIKES)
    elif misspelt:
        subject += " whith the head up"
    text = subject
    for place, part in enumerate(parts):
        choice = part.action.veiled if veiled and part.action.violent else part.action.named
        clause = _clause(part, pick(rng, choice), possessive, rng)
        if place == 0:
            join = " "
        elif place == len(parts) - 1 and place > 1 and rng.random() < 0.3:
            join = " and finally "
        else:
            join = pick(rng, _JOINS).replace("{he}", pronoun)
        text += join + clause
    text = re.sub(r"\s+", " ", text).strip().replace(" ,", ",").replace(" .", ".")
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
