"""Captions as words, counted as the official text files count their tokens, and as clauses."""

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

# Letters with an inner apostrophe; digits and marks part words, a hyphen does not.
WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
MARKS: Final = ".,;:!?"
WORD_OR_MARK: Final = re.compile(rf"{WORD.pattern}|[{MARKS}]")
# What begins another clause: where a caption goes on to the next motion.
CONNECTIVES: Final = frozenset({"and", "then", "before", "after", "afterwards", "finally", "while"})


def words_of(caption: str) -> list[str]:
    """Split a caption into words as the official text files count them: hyphens closed, digits and marks left out."""
    return WORD.findall(caption.replace("-", ""))


def clauses_of(caption: str) -> list[int]:
    """Number of the clause that each word of `words_of` stands in; marks and words such as "then" begin a new one."""
    parts = WORD_OR_MARK.findall(caption.replace("-", ""))
    return [number for part, number in zip(parts, clauses_of_words(parts), strict=True) if part not in MARKS]


def clauses_of_words(parts: Sequence[str]) -> list[int]:
    """Number of the clause that each word or mark of a list stands in."""
    return list(accumulate(int(part in MARKS or part.casefold() in CONNECTIVES) for part in parts))
