"""How an action is worded: templates whose alternatives are written `[kicks|lashes out]`."""

import itertools
import re
from dataclasses import dataclass
from functools import cache

_CHOICE = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True)
class Wording:
    """Templates of one action, in the third person of the present tense.

    Placeholders: {S} side, {O} other side, {n} count, {v} speed adverb, {p} his/her/their, and the words that the
    performance returns. Verbs follow the tense of the caption; a noun spelt like a verb is written `kick_N`, an
    infinitive `kick_V`.
    named: with a keyword if the action is violent; veiled: of violent actions, without one. held_out and
    held_out_veiled: the same kinds, in no caption, so that prompts can be worded unlike all training captions.
    """

    named: tuple[str, ...]
    veiled: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    held_out_veiled: tuple[str, ...] = ()


def wording(*, named: str, held_out: str, veiled: str = "", held_out_veiled: str = "") -> Wording:
    """Read blocks of templates, one a line."""

    def lines(block: str) -> tuple[str, ...]:
        return tuple(line.strip() for line in block.strip().splitlines())

    return Wording(lines(named), lines(veiled), lines(held_out), lines(held_out_veiled))


@cache
def variants(template: str) -> tuple[str, ...]:
    """Every sentence template that the alternatives allow."""
    parts = _CHOICE.split(template)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return tuple(re.sub(r"\s+", " ", "".join(taken)).strip() for taken in itertools.product(*choices))
