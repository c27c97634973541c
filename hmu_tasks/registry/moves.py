"""The journal of moves: who made which version `champion`, when and why, and the aliases that follow from it.

A move is written once under its number and never changed. The aliases are a function of the journal: `champion` is the
version of the last move, `previous` the champion before it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from hmu_tasks.runtime.errors import DataError

CHAMPION, PREVIOUS, CANDIDATE = "champion", "previous", "candidate"
_KEY = re.compile(r"move-(\d{6})")


@dataclass(frozen=True)
class Move:
    """One move of the champion.

    number: 1, 2, … without gaps. start, end: versions before and after; None where there is none. who, when, why: a
    name, a time in ISO 8601 with its zone, and a reason in words. nonce: distinguishes two attempts at one number.
    """

    number: int
    kind: Literal["promote", "rollback"]
    start: int | None
    end: int | None
    who: str
    when: str
    why: str
    nonce: str

    @property
    def key(self) -> str:
        """The name under which the journal keeps the move."""
        return f"move-{self.number:06d}"

    def to_text(self) -> str:
        """Write the move as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class JournalState:
    """State that follows from the journal: the champion, the champion before it, and the number of moves."""

    champion: int | None
    previous: int | None
    moves: int


def read(entries: Mapping[str, str]) -> list[Move]:
    """Read the moves out of a journal's entries (key -> text), in order; other entries are left alone.

    Raises DataError when a move cannot be read or a number is missing.
    """
    found = []
    for key, text in entries.items():
        if _KEY.fullmatch(key):
            try:
                found.append(Move(**json.loads(text)))
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"the journal's entry {key} cannot be read: {error}; restore MLflow's database from a back-up"
                ) from error
    found.sort(key=lambda move: move.number)
    if [move.number for move in found] != list(range(1, len(found) + 1)):
        raise DataError(
            f"the journal has gaps: {', '.join(move.key for move in found)}; restore MLflow's database from a back-up"
        )
    return found


def state(moves: Sequence[Move]) -> JournalState:
    """Replay the moves as a stack: a promotion pushes a version, a rollback pops one.

    Two rollbacks in a row therefore go back two champions instead of toggling.
    """
    stack: list[int] = []
    for move in moves:
        if move.kind == "promote" and move.end is not None:
            stack.append(move.end)
        elif move.kind == "rollback" and stack:
            stack.pop()
    return JournalState(
        champion=stack[-1] if stack else None,
        previous=stack[-2] if len(stack) > 1 else None,
        moves=len(moves),
    )
