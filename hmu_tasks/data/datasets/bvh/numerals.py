"""Numbers of a BVH file as exporters write them: decimal commas, separators, frames over several lines."""

import re
from collections.abc import Sequence
from typing import Final

Lines = list[tuple[int, str]]
_DECIMAL: Final = re.compile(r"[-+]?[0-9]*,[0-9]+(?:[eE][-+]?[0-9]+)?")


def plain(texts: Sequence[str]) -> tuple[list[str], str]:
    """Return lines of numbers with points and blanks alone, and what was assumed; empty where nothing was.

    Where a point occurs anywhere, commas and semicolons separate numbers; where none does, commas are decimal.
    """
    whole = "\n".join(texts)
    if "," not in whole and ";" not in whole:
        return list(texts), ""
    if "." in whole or "," not in whole:
        said = "commas and semicolons separate numbers"
        return [re.sub("[,;]", " ", text) for text in texts], said
    words = whole.replace(";", " ").split()
    if not all(_DECIMAL.fullmatch(word) for word in words if "," in word):
        return list(texts), ""  # one of them is no number; the reader of the line says so
    return [text.replace(";", " ").replace(",", ".") for text in texts], "commas are decimal points"


def unwrapped(lines: Lines, *, frames: int, channels: int) -> tuple[Lines, str]:
    """Return one line per frame where a file has all numbers of its frames, but not in as many lines.

    The number of a line is that of the first line behind it.
    """
    counts = [len(text.split()) for _, text in lines]
    if len(lines) == frames or not channels or sum(counts) != frames * channels:
        return lines, ""
    found: Lines = []
    words: list[str] = []
    starts: list[int] = []
    for number, text in lines:
        new = text.split()
        words += new
        starts += [number] * len(new)
    for start in range(0, len(words), channels):
        found.append((starts[start], " ".join(words[start : start + channels])))
    return found, f"its {len(lines)} motion lines hold {frames} frames, as their numbers say"
