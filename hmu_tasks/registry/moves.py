"""The journal of moves: who made which version `champion`, when and why, and the aliases that follow from it.

A move is signed, written once under its number and never changed. The aliases are a function of the journal:
`champion` is the version of the last move, `previous` the champion before it. What is no signed move of this journal
is void: it is told, and changes nothing.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from hmu_tasks.registry.attestation import SignatureError, opened, sha256, sign

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

CHAMPION, PREVIOUS, CANDIDATE = "champion", "previous", "candidate"
_KEY = re.compile(r"move-([0-9]{6})")


@dataclass(frozen=True)
class Move:
    """One move of the champion.

    number: 1, 2, … without gaps. start, end: versions before and after; None where there is none. who, when, why: a
    name, a time in ISO 8601 with its zone, and a reason in words. nonce: distinguishes two attempts at one number.
    source: what vouches for the name. registered_by: who registered the version. policy: digest of the policy that it
    was judged by; empty for a rollback. manifest: digest of the version's list of files. verified: whether its files
    were read and found unchanged, which an emergency may leave out. registry, journal, before: the registered model,
    the run that holds the journal, and the digest of the entry before.
    """

    number: int
    kind: Literal["promote", "rollback"]
    start: int | None
    end: int | None
    who: str
    when: str
    why: str
    nonce: str
    source: str = ""
    registered_by: str = ""
    policy: str = ""
    manifest: str = ""
    verified: bool = True
    registry: str = ""
    journal: str = ""
    before: str = ""

    @property
    def key(self) -> str:
        """The name under which the journal keeps the move."""
        return key_of(self.number)

    def signed(self, signer: "CryptoSigner") -> str:
        """Write the move as a signed statement about its version's list of files."""
        subject = {f"{self.registry}/{self.end}": self.manifest}
        return sign("move", subject, asdict(self), signer)


@dataclass(frozen=True)
class MoveJournal:
    """The journal as read: its run, valid moves in order, what is wrong with it, the last entry's number and digest."""

    run: str
    moves: tuple[Move, ...]
    faults: tuple[str, ...]
    last: int
    digest: str


@dataclass(frozen=True)
class JournalState:
    """State that follows from the journal.

    champion: the version of the last move, unless it is gone since. previous: what a rollback leads to. moves: the
    journal's last number. skipped: versions that were champion and cannot be any more, newest first. earlier: champions
    that can be gone back to, newest first.
    """

    champion: int | None
    previous: int | None
    moves: int
    skipped: tuple[int, ...] = ()
    earlier: tuple[int, ...] = field(default=(), compare=False)


def key_of(number: int) -> str:
    """Name of the entry with a number."""
    return f"move-{number:06d}"


def read(
    entries: Mapping[str, str], keys: "Sequence[SSlibKey]", *, registry: str, journal: str
) -> MoveJournal:
    """Read a journal's entries (key -> text); what is no signed move of this journal, in its order, is a fault."""
    texts = {int(found[1]): text for key, text in entries.items() if (found := _KEY.fullmatch(key))}
    moves, faults, last, digest = [], [], 0, ""
    for number in sorted(texts):
        if number != last + 1:
            gone = key_of(last + 1) + (f" to {key_of(number - 1)}" if number > last + 2 else "")
            faults.append(f"{gone} is missing before {key_of(number)}")
        try:
            move = _valid(texts[number], keys, number, registry, journal)
        except SignatureError as error:
            faults.append(f"{key_of(number)} {error}; it is void")
            if number != last + 1:
                continue  # an entry far ahead takes no numbers away
        else:
            if move.before != digest:
                faults.append(
                    f"{key_of(number)} does not follow the entry before it, which was changed or removed"
                )
            moves.append(move)
        last, digest = number, sha256(texts[number])
    return MoveJournal(journal, tuple(moves), tuple(faults), last, digest)


def _valid(text: str, keys: "Sequence[SSlibKey]", number: int, registry: str, journal: str) -> Move:
    attested = opened(text, "move", keys)
    try:
        move = Move(**json.loads(json.dumps(attested.predicate)))
    except (TypeError, ValueError) as error:
        raise SignatureError(f"cannot be read: {error}") from error
    if (move.number, move.registry, move.journal) != (number, registry, journal):
        raise SignatureError(f"is move {move.number} of another journal ({move.registry})")
    return move


def state(
    moves: Sequence[Move], *, last: int | None = None, usable: Callable[[int], bool] = lambda _: True
) -> JournalState:
    """Replay the moves as a stack: a promotion pushes a version, a rollback takes off all above its end.

    Two rollbacks in a row therefore go back two champions instead of toggling. usable: whether a version still exists
    and passed the gate; others are skipped. last: the journal's last number, where it has void entries.
    """
    stack: list[int] = []
    for move in moves:
        if move.end is None:
            continue
        if move.kind == "promote":
            stack.append(move.end)
        elif move.end in stack[:-1]:
            stack.pop()
            while stack[-1] != move.end:
                stack.pop()
    kept = [number for number in stack if usable(number)]
    champion = stack[-1] if stack and usable(stack[-1]) else None
    before = kept[:-1] if champion is not None else kept
    return JournalState(
        champion=champion,
        previous=before[-1] if before else None,
        moves=(moves[-1].number if moves else 0) if last is None else last,
        earlier=tuple(dict.fromkeys(number for number in reversed(before) if number != champion)),
        skipped=tuple(dict.fromkeys(number for number in reversed(stack) if not usable(number))),
    )
