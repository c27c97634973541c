"""The journal of moves: what it says of champion and previous, and how faults in it are told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from hmu_tasks.registry.attestation import sha256, sign
from hmu_tasks.registry.moves import JournalState, Move, read, state

SIGNER = CryptoSigner.generate_ed25519()
KEYS = [SIGNER.public_key]


def journal(*steps: tuple[str, int | None]) -> list[Move]:
    made = []
    for number, (kind, end) in enumerate(steps, start=1):
        move = Move(number, kind, None, end, "ann", "2026-01-01T00:00:00+0000", "test", str(number))  # type: ignore[arg-type]
        made.append(replace(move, registry="hmu-a", journal="run"))
    return made


def entries(moves: list[Move], signer: Any = SIGNER) -> dict[str, str]:
    """The moves as they are kept, each with the digest of the one before it."""
    kept: dict[str, str] = {}
    text = None
    for move in moves:
        text = replace(move, before="" if text is None else sha256(text)).signed(signer)
        kept[move.key] = text
    return kept


def test_moves_come_back_in_order() -> None:
    kept = entries(journal(("promote", 1), ("promote", 2)))
    shuffled = dict(reversed([*kept.items(), ("note", "something else")]))
    found = read(shuffled, KEYS, registry="hmu-a", journal="run")
    assert [(move.number, move.end) for move in found.moves] == [(1, 1), (2, 2)]
    assert (found.faults, found.last) == ((), 2)
    assert found.digest == sha256(kept["move-000002"])


def test_what_is_no_signed_move_is_void_and_named() -> None:
    moves = journal(("promote", 1), ("promote", 2), ("promote", 3))
    kept = entries(moves)
    plain = '{"number": 4, "kind": "promote", "end": 9, "who": "eve", "when": "", "why": "", "nonce": ""}'
    stranger = replace(moves[0], number=4, end=9).signed(CryptoSigner.generate_ed25519())
    elsewhere = replace(moves[0], number=4, registry="hmu-b").signed(SIGNER)
    other_run = replace(moves[0], number=4, journal="another").signed(SIGNER)
    another_kind = sign("registration", {"a": "b"}, {}, SIGNER)
    for text, words in (
        (plain, "move-000004 is not signed; it is void"),
        ("{", "move-000004 is not signed"),
        ("[" * 100_000, "move-000004 is not signed"),
        (stranger, "move-000004 is not signed by a trusted key"),
        (elsewhere, r"move-000004 is move 4 of another journal (hmu-b)"),
        (other_run, "move-000004 is move 4 of another journal"),
        (another_kind, "another kind than move"),
        (kept["move-000002"], "move-000004 is move 2 of another journal"),
    ):
        found = read(kept | {"move-000004": text}, KEYS, registry="hmu-a", journal="run")
        assert [move.number for move in found.moves] == [1, 2, 3]
        assert words in found.faults[0]
        assert found.last == 4  # its number is taken, for the store never forgets it
    far = read(kept | {"move-000009": plain}, KEYS, registry="hmu-a", journal="run")
    assert far.last == 3
    assert far.faults == (
        "move-000004 to move-000008 is missing before move-000009",
        "move-000009 is not signed; it is void",
    )


def test_a_lost_or_exchanged_move_is_noticed() -> None:
    kept = entries(journal(("promote", 1), ("promote", 2), ("promote", 3)))
    lost = {key: text for key, text in kept.items() if key != "move-000002"}
    assert read(lost, KEYS, registry="hmu-a", journal="run").faults == (
        "move-000002 is missing before move-000003",
        "move-000003 does not follow the entry before it, which was changed or removed",
    )
    (_, other, _) = journal(("promote", 1), ("promote", 7), ("promote", 3))
    exchanged = kept | {"move-000002": replace(other, before=sha256(kept["move-000001"])).signed(SIGNER)}
    faults = read(exchanged, KEYS, registry="hmu-a", journal="run").faults
    assert faults == ("move-000003 does not follow the entry before it, which was changed or removed",)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], JournalState(None, None, 0)),
        ([("promote", 1)], JournalState(1, None, 1)),
        ([("promote", 1), ("promote", 2)], JournalState(2, 1, 2)),
        ([("promote", 1), ("promote", 2), ("rollback", 1)], JournalState(1, None, 3)),
        (
            [("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2), ("rollback", 1)],
            JournalState(1, None, 5),
        ),
        ([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)], JournalState(3, 1, 4)),
        ([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 2)], JournalState(2, 1, 4)),
        ([("promote", 1), ("promote", 2), ("rollback", 7)], JournalState(2, 1, 3)),
    ],
)
def test_two_rollbacks_go_two_champions_back(steps: list[tuple[str, int]], expected: JournalState) -> None:
    assert state(journal(*steps)) == expected


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ({2}, JournalState(3, 1, 3, (2,))),
        ({3}, JournalState(None, 2, 3, (3,))),
        ({1, 2}, JournalState(3, None, 3, (2, 1))),
        ({2, 3}, JournalState(None, 1, 3, (3, 2))),
    ],
)
def test_versions_that_are_gone_are_skipped(gone: set[int], expected: JournalState) -> None:
    moves = journal(("promote", 1), ("promote", 2), ("promote", 3))
    assert state(moves, usable=lambda number: number not in gone) == expected
    back = [*moves, replace(moves[0], number=4, kind="rollback", end=1)]
    assert state(back, usable=lambda number: number not in gone).champion == (None if 1 in gone else 1)


def test_the_key_is_made_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hmu_tasks.registry.keys import signing_key, trusted
    from hmu_tasks.runtime.errors import HmuError

    place = tmp_path / "keys" / "mine.pem"
    monkeypatch.setenv("HMU_SIGNING_KEY", str(place))
    made = signing_key(tmp_path)
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert [key.keyid for key in trusted(tmp_path)] == [made.public_key.keyid]
    assert signing_key(tmp_path).public_key == made.public_key
    place.chmod(0o640)
    with pytest.raises(HmuError, match=r"others can read the key .*chmod 600"):
        signing_key(tmp_path)
    place.unlink()  # another machine, the same checkout
    with pytest.raises(HmuError, match=r"is not trusted by .*trusted-keys\.json; have this entry added"):
        signing_key(tmp_path)
    (tmp_path / "trusted-keys.json").write_text('{"a": {"key": {}}}', encoding="utf-8")
    with pytest.raises(HmuError, match="is not a list of public keys"):
        trusted(tmp_path)
