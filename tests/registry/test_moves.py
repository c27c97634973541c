"""The journal of moves: what it says of champion and previous, and how faults in it are told."""

import pytest

from hmu_tasks.registry.moves import JournalState, Move, read, state
from hmu_tasks.runtime.errors import DataError


def journal(*steps: tuple[str, int | None]) -> list[Move]:
    made = []
    for number, (kind, end) in enumerate(steps, start=1):
        made.append(Move(number, kind, None, end, "ann", "2026-01-01T00:00:00+0000", "test", str(number)))  # type: ignore[arg-type]
    return made


def test_moves_come_back_from_text_in_order() -> None:
    moves = journal(("promote", 1), ("promote", 2))
    entries = {move.key: move.to_text() for move in reversed(moves)} | {"note": "something else"}
    assert read(entries) == moves


def test_gaps_and_damage_are_named() -> None:
    moves = journal(("promote", 1), ("promote", 2), ("promote", 3))
    with pytest.raises(DataError, match="gaps: move-000001, move-000003"):
        read({move.key: move.to_text() for move in moves if move.number != 2})
    with pytest.raises(DataError, match="move-000001 cannot be read"):
        read({"move-000001": "{"})
    with pytest.raises(DataError, match="move-000001 cannot be read"):
        read({"move-000001": '{"number": 1}'})


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
    ],
)
def test_two_rollbacks_go_two_champions_back(steps: list[tuple[str, int]], expected: JournalState) -> None:
    assert state(journal(*steps)) == expected
