"""Atomic files and folders, and cleaning up after killed processes."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hmu_tasks.runtime import files, paths
from hmu_tasks.runtime.files import (
    read_json,
    recover,
    recover_below,
    replacing,
    replacing_folder,
    write_json,
)

KILLED = """
import os, signal, sys
from pathlib import Path
from hmu_tasks.runtime.files import replacing, replacing_folder
target = Path(sys.argv[1])
with replacing_folder(target / "folder") as folder, replacing(target / "file.txt") as file:
    (folder / "part").write_text("half")
    file.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""

# Kills itself before the n-th event on files and folders; with "plain" the file system cannot exchange two names.
KILLED_AT = """
import os, signal, sys
from pathlib import Path
from hmu_tasks.runtime import files
target, number, plain = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "plain"
exchange = files._exchange
seen = 0
def event(name="", arguments=()):
    global seen
    if name.startswith(("os.", "shutil.")):
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
def exchanging(one, other):
    event("os.before"); done = not plain and exchange(one, other); event("os.after")
    return done
files._exchange = exchanging
with files.replacing_folder(target) as folder:
    (folder / "one").write_text("new")
    (folder / "two").write_text("new")
    sys.addaudithook(event)
sys.exit(7)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_and_a_folder_replace_what_was_there(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with replacing(tmp_path / "a" / "file.txt") as file:
            file.write_text(text, encoding="utf-8")
        with replacing_folder(tmp_path / "a" / "folder") as folder:
            (folder / text).touch()
    assert names(tmp_path / "a") == ["file.txt", "folder"]
    assert (tmp_path / "a" / "file.txt").read_text(encoding="utf-8") == "second"
    assert (tmp_path / "a" / "file.txt").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "a" / "folder").stat().st_mode & 0o777 == 0o755
    assert names(tmp_path / "a" / "folder") == ["second"]


def test_a_failure_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"a": 1})
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file.json") as file:
        file.write_text(f"half {1 / 0}", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "folder") as folder:
        (folder / f"{1 / 0}").touch()
    assert names(tmp_path) == ["file.json"]
    assert read_json(tmp_path / "file.json") == {"a": 1}


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    for name in (".folder.short", ".file.txt.too_long_1", ".file.json.abcdefgh"):
        (tmp_path / name).touch()  # not from this module, or for another target
    kept = names(tmp_path)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == len(kept) + 2
    with replacing_folder(tmp_path / "folder") as folder:
        (folder / "whole").touch()
    write_json(tmp_path / "file.txt", 1)
    assert names(tmp_path) == sorted([*kept, "file.txt", "folder"])
    assert names(tmp_path / "folder") == ["whole"]


def test_a_running_writer_is_left_alone(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "folder") as first, replacing(tmp_path / "file") as early:
        (first / "first").touch()
        early.write_text("first", encoding="utf-8")
        with replacing_folder(tmp_path / "folder") as second, replacing(tmp_path / "file") as late:
            (second / "second").touch()
            late.write_text("second", encoding="utf-8")
        assert (first / "first").exists()
        assert early.exists()
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == ["first"]


def test_json_is_sorted_and_ends_with_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, 0.1], "a": "ü"})
    write_json(tmp_path / "b.json", {"a": "ü", "b": [1, 0.1]})
    text = (tmp_path / "a.json").read_bytes()
    assert text == (tmp_path / "b.json").read_bytes()
    assert text.decode("utf-8").startswith('{\n "a": "ü",\n')
    assert text.endswith(b"\n}\n")
    assert read_json(tmp_path / "a.json") == {"a": "ü", "b": [1, 0.1]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}, {1, 2}])
def test_values_that_json_lacks_are_refused(tmp_path: Path, value: object) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "a.json", value)
    assert names(tmp_path) == ["a.json"]
    assert read_json(tmp_path / "a.json") == 1


@pytest.mark.parametrize("how", ["exchange", "plain"])
def test_a_kill_at_any_point_leaves_the_old_folder_or_the_new_one(tmp_path: Path, how: str) -> None:
    target, gaps = tmp_path / "out", 0
    for number in range(1, 60):
        with replacing_folder(target) as folder:
            for name in ("one", "two"):
                (folder / name).write_text("old")
        done = subprocess.run([sys.executable, "-c", KILLED_AT, str(target), str(number), how], check=False)
        gaps += not target.exists()
        recover(target)
        found = {path.name: path.read_text() for path in target.iterdir()}
        assert found in ({"one": "old", "two": "old"}, {"one": "new", "two": "new"}), number
        if done.returncode == 7:
            break
        assert done.returncode == -signal.SIGKILL
    assert number > 4
    assert done.returncode == 7
    assert gaps == (1 if how == "plain" else 0)
    with replacing_folder(target):
        pass
    assert names(tmp_path) == ["out"]


def test_a_reader_never_misses_a_folder_that_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with replacing_folder(target) as folder:
        (folder / "part").write_text("0")
    missed, stop = [], threading.Event()

    def look() -> None:
        while not stop.is_set():
            if not (target / "part").exists():
                missed.append(time.monotonic())

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(300):
        with replacing_folder(target) as folder:
            (folder / "part").write_text(str(number))
    stop.set()
    reader.join()
    assert missed == []


def test_two_writers_without_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process recovers a folder while another is between its two renames: the new folder arrives all the same."""
    target = tmp_path / "out"
    target.mkdir()
    (target / "part").write_text("old")
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    rename = Path.rename

    def renaming(path: Path, to: Path) -> Path:
        found = rename(path, to)
        if str(to).endswith(".before"):
            monkeypatch.setattr(Path, "rename", rename)
            recover(target)
            assert (target / "part").read_text() == "old"
        return found

    monkeypatch.setattr(Path, "rename", renaming)
    with replacing_folder(target) as folder:
        (folder / "part").write_text("new")
    assert (target / "part").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_recovery_at_the_start_of_a_command(tmp_path: Path) -> None:
    for at in ("data/.clips.before", "runs/train/0/.text.before"):
        (tmp_path / at).mkdir(parents=True)
        (tmp_path / at / "part").write_text("old")
    recover_below(tmp_path, paths.PARENTS)
    assert (tmp_path / "data/clips/part").read_text() == "old"
    assert (tmp_path / "runs/train/0/text/part").read_text() == "old"
