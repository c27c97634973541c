"""Validate BVH text line by line and normalise it for the reader.

The library behind `reader` trusts its input: it mistakes joint names for keywords, fills missing lines with zeros and
passes NaN through, and knows one order of channels. So all its input goes through here first. What exporters leave out
or do in their own way is understood where it can mean one thing only, and noted in `Document.assumed`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh.numerals import Lines, plain, unwrapped
from hmu_tasks.runtime.errors import DataError

FEWEST_FRAMES: Final = 3
SLOWEST, FASTEST = 5.0, 1000.0  # plausible frame rates of motion capture, in frames per second
MOST_JOINTS: Final = 1000
MOST_NUMBERS: Final = 1 << 25  # of one recording: twenty minutes of 75 joints at 120 frames per second
LARGEST: Final = 1e9  # above any length in any unit, or angle in degrees
_ROTATIONS: Final = ("Xrotation", "Yrotation", "Zrotation")
_POSITIONS: Final = ("Xposition", "Yposition", "Zposition")
_SCALES: Final = ("Xscale", "Yscale", "Zscale")
_END: Final = "\x1a\0 \t\r\n"  # Ctrl-Z of DOS, padding of fixed blocks
_BRACES: Final = re.compile(r"([{}])")


@dataclass(frozen=True)
class Document:
    """A validated file: its joint names in file order, its text with joints renamed to their indices, and notes.

    assumed: what the file leaves out or says in an unusual way, and how it was read.
    """

    names: tuple[str, ...]
    text: str
    assumed: tuple[str, ...] = ()


@dataclass
class _Block:
    name: str  # empty for an End Site
    line: int
    open: bool = False
    offset: tuple[str, ...] = ()
    given: bool = False  # its CHANNELS have been read
    ends: bool = False  # has a child or an End Site


@dataclass
class _Header:
    names: list[str] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    channels: int = 0  # numbers per motion line of the file
    columns: list[int | float] = field(
        default_factory=list
    )  # of the text for the library: a column, or a constant
    assumed: list[str] = field(default_factory=list)
    ended: bool = False  # the root's closing brace has been read


def check(text: str, fps: float | None = None) -> Document:
    """Validate the text of a BVH file; raises DataError saying what is wrong, in which line, and what to do.

    fps: frames per second of a file that does not say so itself.
    """
    header = _Header()
    body = text.rstrip(_END)
    if set(text[len(body) :]) & set("\x1a\0"):
        header.assumed.append("what follows the last line (Ctrl-Z or NUL) is no data")
    lines = [(number, line.strip()) for number, line in enumerate(body.splitlines(), start=1)]
    lines = _with_plain_numbers([(n, line) for n, line in lines if line and not line.startswith("#")], header)
    start = next((place for place, (_, line) in enumerate(lines) if line.upper() == "MOTION"), None)
    if not lines or lines[0][1].upper() != "HIERARCHY":
        raise DataError("does not start with HIERARCHY; it is not a BVH file")
    if start is None:
        raise DataError("has no line MOTION: the file is truncated; export or copy it again")
    for number, statement in _statements(lines[1:start]):
        _read(header, number, statement)
    if header.blocks:
        raise DataError(f"never closes joint {_owner(header)}; export or copy it again")
    if not header.names:
        raise DataError("has no ROOT joint; export it again")
    twice, times = Counter(header.names).most_common(1)[0]
    if times > 1:
        raise DataError(f"has two joints called {twice}; rename one")
    motion = _motion(lines[start + 1 :], header, fps)
    written = "\n".join(["HIERARCHY", *header.written, "MOTION", *motion, ""])
    return Document(tuple(header.names), written, tuple(header.assumed))


def _with_plain_numbers(lines: Lines, header: _Header) -> Lines:
    """Rewrite offsets and motion lines as the library reads numbers; names and the frame time stay as they are."""
    begin = next((place for place, (_, line) in enumerate(lines) if line.upper() == "MOTION"), len(lines))
    at = [
        place
        for place, (_, line) in enumerate(lines)
        if (place > begin and line[0] in "+-.0123456789") or "OFFSET" in line.upper().split()
    ]
    found, assumed = plain([lines[place][1] for place in at])
    if assumed:
        header.assumed.append(assumed)
        for place, line in zip(at, found, strict=True):
            lines[place] = (lines[place][0], line)
    return lines


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
    if keyword in ("ROOT", "JOINT", "END", "ENDSITE"):
        _open(header, number, keyword, words, top)
    elif keyword == "{" and top is not None and not top.open:
        top.open = True
        header.written.append("{")
    elif keyword == "OFFSET" and top is not None and not top.offset:
        top.offset = _offset(number, words)
        header.written.append(" ".join(["OFFSET", *top.offset]))
    elif keyword == "CHANNELS" and top is not None and not top.name and words[1:] == ["0"]:
        pass  # of an End Site
    elif keyword == "CHANNELS" and top is not None and top.name and not top.given and not top.ends:
        if not top.offset:
            raise DataError(f"line {number}: joint {top.name} lacks its OFFSET line before this one")
        _use_channels(header, top, _channels(number, top.name, words))
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
        if not top.offset:
            raise DataError(f"line {number}: joint {top.name} lacks its OFFSET line before this one")
        if not top.given:
            _use_channels(header, top, [])
        top.ends = True
    if keyword.startswith("END"):
        header.blocks.append(_Block("", number))
        header.written.append("End Site")
        return
    if len(words) < 2:
        raise DataError(f"line {number}: {keyword} without a name")
    if len(header.names) == MOST_JOINTS:
        raise DataError(
            f"line {number}: more than {MOST_JOINTS} joints, more than any skeleton; leave the file out"
        )
    name = " ".join(words[1:])
    header.blocks.append(_Block(name, number))
    # Indices instead of names: a joint called MOTION, or with a space in its name, would mislead the library.
    header.written.append(f"{keyword} {len(header.names)}")
    header.names.append(name)


def _close(header: _Header, top: _Block) -> None:
    if not top.offset:
        raise DataError(f"line {top.line}: {top.name or 'an End Site'} has no OFFSET; export the file again")
    if top.name and not top.given:
        _use_channels(header, top, [])
    if top.name and not top.ends:
        header.written += ["End Site", "{", "OFFSET 0 0 0", "}"]
        header.assumed.append(f"joint {top.name} has no End Site and is taken for the last of its chain")
    header.blocks.pop()
    header.written.append("}")
    header.ended = not header.blocks


def _offset(number: int, words: list[str]) -> tuple[str, ...]:
    if len(words) != 4 or not all(_is_number(word) for word in words[1:]):
        raise DataError(f"line {number}: OFFSET needs three numbers, found {' '.join(words[1:])[:40]!r}")
    return tuple(words[1:])


def _channels(number: int, name: str, words: list[str]) -> list[str]:
    kinds = [word[:1].upper() + word[1:].lower() for word in words[2:]]
    given = set(kinds)
    if len(words) < 2 or words[1] != str(len(kinds)):
        raise DataError(
            f"line {number}: joint {name}: CHANNELS does not list as many channels as it declares"
        )
    if not given <= {*_ROTATIONS, *_POSITIONS, *_SCALES} or len(given) < len(kinds):
        raise DataError(
            f"line {number}: joint {name} has channels {' '.join(words[2:])[:80] or 'none'}; positions, rotations and "
            "scales about X, Y and Z are read, each once: export the file with these"
        )
    return kinds


def _use_channels(header: _Header, joint: _Block, kinds: list[str]) -> None:
    """Write the channels that the library knows (positions, if any, then three rotations) and note where they are.

    A rotation that is not given is none, a position that is not given is that of OFFSET; scales are left out.
    """
    at = {kind: header.channels + place for place, kind in enumerate(kinds)}
    header.channels += len(kinds)
    turns = [kind for kind in kinds if kind in _ROTATIONS]
    turns += [kind for kind in _ROTATIONS if kind not in turns]
    places = [kind for kind in kinds if kind in _POSITIONS]
    places += [kind for kind in _POSITIONS if places and kind not in places]
    rest = dict(zip(_POSITIONS, map(float, joint.offset), strict=True))
    header.columns += [at.get(kind, rest.get(kind, 0.0)) for kind in (*places, *turns)]
    header.written.append(" ".join([f"CHANNELS {len(places) + 3}", *places, *turns]))
    joint.given = True
    lacking = [kind for kind in (*places, *turns) if kind not in at]
    if lacking:
        header.assumed.append(
            f"joint {joint.name} has no channel {', '.join(lacking)}, which does not change"
        )
    if any(kind in _SCALES for kind in kinds):
        header.assumed.append(f"joint {joint.name}: its scale is left out")


def _motion(lines: list[tuple[int, str]], header: _Header, fps: float | None) -> list[str]:
    frames = (
        re.fullmatch(r"frames\s*:\s*([0-9]{1,9})(?:\.0*)?", lines[0][1], re.IGNORECASE) if lines else None
    )
    if frames is None:
        raise DataError("lacks the line `Frames: N` after MOTION; export it again")
    period = re.fullmatch(r"frame\s*time\s*:\s*(\S*)", lines[1][1], re.IGNORECASE) if len(lines) > 1 else None
    seconds = _seconds(period[1] if period else None, header, fps)
    rows, wrapped = unwrapped(
        lines[1 if period is None else 2 :], frames=int(frames[1]), channels=header.channels
    )
    header.assumed += [wrapped] if wrapped else []
    values, count = _rows(rows, int(frames[1]), header)
    if header.columns == list(range(header.channels)):
        written = [row for _, row in rows[:count]]
    else:
        table = np.stack(
            [values[:, c] if isinstance(c, int) else np.full(count, c) for c in header.columns], axis=1
        )
        written = [" ".join(map(repr, row)) for row in table.tolist()]
    return [f"Frames: {count}", f"Frame Time: {seconds!r}", *written]


def _seconds(given: str | None, header: _Header, fps: float | None) -> float:
    """Seconds per frame, from the file or else from the user."""
    text = (given or "").replace(",", ".")
    seconds = float(text) if _is_number(text) else math.nan
    if 1 / FASTEST <= seconds <= 1 / SLOWEST:
        if text != given:
            header.assumed.append(f"the frame time {given} is {text} seconds")
        return seconds
    what = "has no frame time" if given is None else f"has the frame time {given or 'nothing'}"
    if fps is None:
        raise DataError(
            f"{what}; expected {1 / FASTEST:g} to {1 / SLOWEST:g} seconds: correct it in the header, or set "
            "ingest.bvh.fps to the frames per second of the files that do not say so"
        )
    header.assumed.append(f"{what}: {fps:g} frames per second, as ingest.bvh.fps says")
    return 1 / fps


def _rows(lines: list[tuple[int, str]], declared: int, header: _Header) -> tuple[NDArray[np.float64], int]:
    """The motion lines as numbers [frames, channels], and how many of them are frames."""
    count = len(lines)
    if count == declared + 1:
        if len(lines[-1][1].split()) != header.channels:
            count = declared
            header.assumed.append("the line behind the last frame is incomplete and no frame")
        elif declared:
            header.assumed.append(f"it has one frame more than the {declared} that it declares; all are used")
    elif declared == 0 and count:
        header.assumed.append(f"it declares 0 frames and has {count}; all are used")
    elif count != declared:
        raise DataError(
            f"declares {declared} frames but has {count}: it is truncated or has extra lines; copy it again"
        )
    if count < FEWEST_FRAMES:
        raise DataError(f"has {count} frames; a motion needs at least {FEWEST_FRAMES}, leave the file out")
    # Joints without channels take no space in the file, but much in memory.
    if count * max(len(header.columns), header.channels) > MOST_NUMBERS:
        raise DataError(
            f"has {count} frames of {len(header.columns)} channels, more than any motion; split it into shorter ones"
        )
    found = np.empty((count, header.channels))
    for place, (number, row) in enumerate(lines[:count]):
        try:
            if not _is_plain(row):
                raise ValueError(row)
            values = np.array(row.split(), dtype=np.float64)
        except ValueError:
            raise DataError(
                f"line {number}: contains something that is not a number; export it again"
            ) from None
        if len(values) != header.channels:
            raise DataError(
                f"line {number}: {len(values)} numbers for {header.channels} channels; the line is truncated or "
                "the hierarchy is from another file; export it again"
            )
        if not (np.abs(values) < LARGEST).all():
            raise DataError(
                f"line {number}: NaN, infinite or implausibly large number; repair or leave out this file"
            )
        found[place] = values
    return found, count


def _is_plain(text: str) -> bool:
    """Whether numbers are in ASCII: Python reads digits of every script, and `1_0` as 10; the library does not."""
    return text.isascii() and "_" not in text


def _is_number(word: str) -> bool:
    try:
        return _is_plain(word) and abs(float(word)) < LARGEST
    except ValueError:
        return False


def _owner(header: _Header) -> str:
    return next(block.name for block in reversed(header.blocks) if block.name)
