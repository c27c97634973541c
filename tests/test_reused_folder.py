"""The copy that goes from test to test is as the original whenever it is lent."""

from pathlib import Path

import pytest
from reused_folder import ReusedFolder


def content(folder: Path) -> dict[str, bytes | None]:
    """Bytes of each file by path; None for a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def original(tmp_path: Path) -> Path:
    root = tmp_path / "original"
    (root / "runs" / "train").mkdir(parents=True)
    (root / "runs" / "config.json").write_text("{}")
    (root / "runs" / "train" / "history.csv").write_text("step,value")
    (root / "runs" / "train" / "codes.npy").write_bytes(b"array")
    return root


def test_every_change_is_undone(original: Path, tmp_path: Path) -> None:
    wanted, reused = content(original), ReusedFolder(original, tmp_path / "waits")
    for number in range(2):
        place = tmp_path / f"test{number}"
        reused.lend(place)
        assert content(place) == wanted
        (place / "runs" / "config.json").write_text("[]")  # of the same size
        (place / "runs" / "train" / "codes.npy").unlink()
        (place / "runs" / "train" / "codes.npy").write_bytes(b"other")
        (place / "runs" / "train" / "history.csv").unlink()
        (place / "runs" / "train" / "history.csv").mkdir()
        (place / "more" / "folders").mkdir(parents=True)
        (place / "more" / "link").symlink_to(place / "runs")
        reused.take_back(place)
        assert not place.exists()
    reused.lend(tmp_path / "last")
    assert content(tmp_path / "last") == content(original) == wanted


def test_a_folder_that_is_gone_comes_back(original: Path, tmp_path: Path) -> None:
    wanted, reused = content(original), ReusedFolder(original, tmp_path / "waits")
    reused.lend(tmp_path / "test")
    (tmp_path / "test" / "runs").rename(tmp_path / "elsewhere")
    (tmp_path / "test" / "runs").write_text("a file in its place")
    reused.take_back(tmp_path / "test")
    reused.lend(tmp_path / "next")
    assert content(tmp_path / "next") == wanted


def test_a_copy_that_stays_is_followed_by_a_new_one(original: Path, tmp_path: Path) -> None:
    reused = ReusedFolder(original, tmp_path / "waits")
    reused.lend(tmp_path / "failed")
    (tmp_path / "failed" / "runs" / "config.json").write_text("broken")
    reused.lend(tmp_path / "next")
    assert content(tmp_path / "next") == content(original)
    assert (tmp_path / "failed" / "runs" / "config.json").read_text() == "broken"


def test_writing_through_a_link_is_told(original: Path, tmp_path: Path) -> None:
    reused = ReusedFolder(original, tmp_path / "waits")
    reused.lend(tmp_path / "test")
    (tmp_path / "test" / "runs" / "train" / "codes.npy").write_bytes(b"longer than before")
    with pytest.raises(AssertionError, match="unlink a file that is a link"):
        reused.take_back(tmp_path / "test")
