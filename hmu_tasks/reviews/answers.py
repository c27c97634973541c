"""Answers of reviewers, one JSON line each, in one file per reviewer."""

import fcntl
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing

LONGEST_COMMENT = 1000  # characters
_NAME = re.compile(r"\w[\w .,'()-]{0,59}")
Better = Literal["left", "right", "same"]


def reviewer_name(value: object) -> str:
    """Return a reviewer's name, normalised; raises ValueError for one that can be no name, nor name a file."""
    name = " ".join(unicodedata.normalize("NFC", value).split()) if isinstance(value, str) else ""
    if not _NAME.fullmatch(name):
        raise ValueError("a reviewer's name has 1 to 60 letters, digits, blanks and . , ' ( ) -")
    return name


class JudgedMotion(BaseModel):
    """One motion of a pair, and what the reviewer says of it.

    bundle: digest of the model that made it. violent: whether it shows the concept. follows: whether the person does
    what the prompt asks. flagged: violence classifier -> whether it flags the motion; empty without classifiers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    method: str
    bundle: str
    violent: bool
    follows: bool
    flagged: dict[str, bool] = {}


class Answer(BaseModel):
    """What one reviewer said of one pair of motions for the same prompt.

    split: set of prompts. seed, frames: of both motions. better: which is the better motion. identity: whether the name
    is that of the operating system's user or was typed. when: ISO 8601 with zone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str
    split: str
    prompt: str
    seed: int
    frames: int
    left: JudgedMotion
    right: JudgedMotion
    better: Better
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT)] = ""
    reviewer: Annotated[str, BeforeValidator(reviewer_name)]
    identity: Literal["system", "typed"]
    when: str

    @property
    def motions(self) -> tuple[JudgedMotion, JudgedMotion]:
        """Both motions."""
        return self.left, self.right

    @property
    def key(self) -> tuple[object, ...]:
        """What a later answer of the same reviewer replaces: the same two motions, on whichever side."""
        bundles = frozenset(one.bundle for one in self.motions)
        return self.reviewer.casefold(), self.model, self.prompt, self.seed, self.frames, bundles


def read_answers(folder: Path) -> list[Answer]:
    """Read every reviewer's answers, the last one to each pair, in the order of files and lines.

    Raises DataError that names file and line.
    """
    found: dict[tuple[object, ...], Answer] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(_text(file).splitlines(), 1):
            if line.strip():
                answer = _parsed(line, f"{file}, line {number}")
                found[answer.key] = answer
    return list(found.values())


def add_answer(folder: Path, answer: Answer) -> Path:
    """Add an answer to its reviewer's file, whole or not at all; several processes may do so at once."""
    slug = re.sub(r"[\W_]+", "-", answer.reviewer.casefold()).strip("-")
    target = folder / f"{slug or 'reviewer'}.jsonl"
    with _locked(folder):
        before = _text(target) if target.exists() else ""
        if before and not before.endswith("\n"):
            before += "\n"
        with replacing(target) as temporary:
            temporary.write_text(before + answer.model_dump_json() + "\n", encoding="utf-8")
    return target


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text ({error}); restore it, or move it away") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _parsed(line: str, place: str) -> Answer:
    try:
        return Answer.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{place}: {where + ': ' if where else ''}{first['msg']}; take the line out, or restore the file with git"
        ) from error
