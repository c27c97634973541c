"""No file makes a reader fail with a traceback, hang, or take memory beyond what the file can justify."""

from pathlib import Path

import pytest
from foreign_files import READERS, Reader, in_its_place
from hostile_bytes import bombs
from measured_reading import measured

from hmu_tasks.tracking import lineage

SECONDS, MEMORY = 10.0, 400.0  # of one reading; MiB
each = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes a dvc.lock here, so nothing waits for a writer to end."""
    monkeypatch.setattr(lineage, "QUIET_SECONDS", 0.0)


@each
def test_a_good_file_is_read(reader: Reader, tmp_path: Path) -> None:
    path = reader.place(tmp_path)
    path.write_bytes(reader.good())
    found = measured(lambda: reader.read(path))
    # A bundle of no model cannot be complete; it is refused for that and not for its form.
    assert found.outcome == "read" or "unknown model 'x'" in found.message, found


@each
def test_what_is_no_such_file_is_refused(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = reader.place(tmp_path / "place")
    for what in in_its_place(path, reader.good()):
        found = measured(lambda: reader.read(path))
        assert found.outcome in ("refused", "read"), (what, found)
        assert found.seconds < SECONDS, (what, found)
        assert found.memory < MEMORY, (what, found)
        if what in ("a folder", "a named pipe", "an endless device", "a circular link", "a sparse terabyte"):
            assert found.outcome == "refused" or reader.name in MAY_BE_ABSENT, (what, found)
    assert not (tmp_path / "ran").exists()


# Without a file there is nothing to read: labels and a lock are optional. A tar of zeros has ended at once.
MAY_BE_ABSENT = {"actions.json", "dvc.lock", "dvc.lock of the flow", "AMASS archive"}


@each
def test_small_files_that_cost_much_are_refused(reader: Reader, tmp_path: Path) -> None:
    path = reader.place(tmp_path)
    for what, content in bombs(reader.format).items():
        path.write_bytes(content)
        found = measured(lambda: reader.read(path))
        assert found.outcome in ("refused", "read"), (what, found)
        assert found.seconds < SECONDS, (what, found)
        assert found.memory < MEMORY, (what, found)
