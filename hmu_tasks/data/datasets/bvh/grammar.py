"""Validate BVH text line by line and normalise it for the reader.

The library behind `reader` trusts its input: it mistakes joint names for keywords, fills missing lines with zeros and
passes NaN through. So all its input goes through here first.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from hmu_tasks.runtime.errors import DataError

FEWEST_FRAMES: Final = 3
SLOWEST, FASTEST = 5.0, 1000.0  # plausible frame rates of motion capture, in frames per second
LARGEST: Final = 1e9  # above any length in any unit, or angle in degrees
_ROTATIONS: Final = {"xrotation", "yrotation", "zrotation"}
_POSITIONS: Final = {"xposition", "yposition", "zposition"}
_BRACES: Final = re.compile(r"([{}])")


@dataclass(frozen=True)
class Document:
    """A validated file: its joint names in file order, and its text with joints renamed to their indices."""

    names: tuple[str, ...]
    text: str


@dataclass
class _Block:
    name: str  # empty for an End Site
    line: int
    open: bool = False
    offset: bool = False
    channels: int = 0
    ends: bool = False  # has a child or an End Site


@dataclass
class _Header:
    names: list[str] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    channels: int = 0
    ended: bool = False  # the root's closing brace has been read


def check(text: str) -> Document:
    """Validate the text of a BVH file; raises DataError saying what is wrong, in which line, and what to do."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    start = next((place for place, (_, line) in enumerate(lines) if line.upper() == "MOTION"), None)
    if not lines or lines[0][1].upper() != "HIERARCHY":
        raise DataError("does not start with HIERARCHY; it is not a BVH file")
    if start is None:
        raise DataError("has no line MOTION: the file is truncated; export or copy it again")
    header = _Header()
    for number, statement in _statements(lines[1:start]):
        _read(header, number, statement)
    if header.blocks:
        raise DataError(f"never closes joint {_owner(header)}; export or copy it again")
    if not header.names:
        raise DataError("has no ROOT joint; export it again")
    twice = next((name for name in header.names if header.names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"has two joints called {twice}; rename one")
    motion = _motion(lines[start + 1 :], header.channels)
    return Document(tuple(header.names), "\n".join(["HIERARCHY", *header.written, "MOTION", *motion, ""]))


def _statements(lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        for part in _BRACES.split(line):
            if part.strip():
                yield number, part.strip()


def _read(header: _Header, number: int, statement: str) -> None:
    words = statement.split()
    keyword = words[0].upper()
    top = header.blocks[-1] if header.blocks else None
    if top is not None and not top.open and keyword != "{":
        raise DataError(f"line {number}: expected {{ after line {top.line}, found {statement[:40]!r}")
    if keyword in ("ROOT", "JOINT", "END"):
        _open(header, number, keyword, words, top)
    elif keyword == "{" and top is not None and not top.open:
        top.open = True
        header.written.append("{")
    elif keyword == "OFFSET" and top is not None and not top.offset:
        header.written.append(" ".join(["OFFSET", *_offset(number, words)]))
        top.offset = True
    elif keyword == "CHANNELS" and top is not None and top.name and not top.channels and not top.ends:
        kinds = _channels(number, top.name, words)
        header.written.append(f"CHANNELS {len(kinds)} {' '.join(kinds)}")
        top.channels = len(kinds)
        header.channels += len(kinds)
    elif keyword == "}" and top is not None:
        _close(header, top)
    else:
        raise DataError(f"line {number}: {statement[:40]!r} is out of place; export the file again")


def _open(header: _Header, number: int, keyword: str, words: list[str], top: _Block | None) -> None:
    if keyword == "ROOT" and (top is not None or header.ended):
        raise DataError(f"line {number}: a second ROOT; one body per file is read, split the file")
    if keyword != "ROOT" and (top is None or not top.name):
        raise DataError(f"line {number}: {' '.join(words)[:40]!r} is outside of any joint")
    if top is not None:
        if not (top.offset and top.channels):
            raise DataError(
                f"line {number}: joint {top.name} lacks its OFFSET or CHANNELS line before this one"
            )
        top.ends = True
    if keyword == "END":
        header.blocks.append(_Block("", number))
        header.written.append("End Site")
        return
    if len(words) < 2:
        raise DataError(f"line {number}: {keyword} without a name")
    name = " ".join(words[1:])
    header.blocks.append(_Block(name, number))
    # Indices instead of names: a joint called MOTION, or with a space in its name, would mislead the library.
    header.written.append(f"{keyword} {len(header.names)}")
    header.names.append(name)


def _close(header: _Header, top: _Block) -> None:
    if not top.offset:
        raise DataError(f"line {top.line}: {top.name or 'an End Site'} has no OFFSET; export the file again")
    if top.name and not top.channels:
        raise DataError(f"line {top.line}: joint {top.name} has no CHANNELS; export the file again")
    if top.name and not top.ends:
        raise DataError(
            f"line {top.line}: joint {top.name} has neither a child nor an End Site: the file is truncated or "
            "badly exported; export it again, or give the joint an End Site"
        )
    header.blocks.pop()
    header.written.append("}")
    header.ended = not header.blocks


def _offset(number: int, words: list[str]) -> list[str]:
    if len(words) != 4 or not all(_is_number(word) for word in words[1:]):
        raise DataError(f"line {number}: OFFSET needs three numbers, found {' '.join(words[1:])[:40]!r}")
    return words[1:]


def _channels(number: int, name: str, words: list[str]) -> list[str]:
    kinds = [word[:1].upper() + word[1:].lower() for word in words[2:]]
    given = {kind.lower() for kind in kinds}
    if len(words) < 2 or words[1] != str(len(kinds)):
        raise DataError(
            f"line {number}: joint {name}: CHANNELS does not list as many channels as it declares"
        )
    rotations = {kind.lower() for kind in kinds[-3:]} == _ROTATIONS
    if not rotations or (len(kinds), given) not in ((3, _ROTATIONS), (6, _ROTATIONS | _POSITIONS)):
        raise DataError(
            f"line {number}: joint {name} has channels {' '.join(words[2:])[:80] or 'none'}; three rotations are "
            "read, or three positions and then three rotations; export the file with these"
        )
    return kinds


def _motion(lines: list[tuple[int, str]], channels: int) -> list[str]:
    frames = re.fullmatch(r"frames\s*:\s*(\d{1,9})", lines[0][1], re.IGNORECASE) if lines else None
    period = re.fullmatch(r"frame\s+time\s*:\s*(\S+)", lines[1][1], re.IGNORECASE) if len(lines) > 1 else None
    if frames is None or period is None:
        raise DataError("lacks the lines `Frames: N` and `Frame Time: seconds` after MOTION; export it again")
    count = int(frames[1])
    if count < FEWEST_FRAMES:
        raise DataError(f"has {count} frames; a motion needs at least {FEWEST_FRAMES}, leave the file out")
    seconds = float(period[1]) if _is_number(period[1]) else math.nan
    if not 1 / FASTEST <= seconds <= 1 / SLOWEST:
        raise DataError(
            f"has the frame time {period[1]}; expected {1 / FASTEST:g} to {1 / SLOWEST:g} seconds: "
            "correct it in the header"
        )
    rows = lines[2:]
    if len(rows) != count:
        raise DataError(
            f"declares {count} frames but has {len(rows)}: it is truncated or has extra lines; copy it again"
        )
    for number, row in rows:
        try:
            values = np.array(row.split(), dtype=np.float64)
        except ValueError:
            raise DataError(
                f"line {number}: contains something that is not a number; export it again"
            ) from None
        if len(values) != channels:
            raise DataError(
                f"line {number}: {len(values)} numbers for {channels} channels; the line is truncated or "
                "the hierarchy is from another file; export it again"
            )
        if not (np.abs(values) < LARGEST).all():
            raise DataError(
                f"line {number}: NaN, infinite or implausibly large number; repair or leave out this file"
            )
    return [f"Frames: {count}", f"Frame Time: {seconds!r}", *(row for _, row in rows)]


def _is_number(word: str) -> bool:
    try:
        return abs(float(word)) < LARGEST
    except ValueError:
        return False


def _owner(header: _Header) -> str:
    return next(block.name for block in reversed(header.blocks) if block.name)
