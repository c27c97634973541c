"""Atomic files and folders, and cleaning up after killed processes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hmu_tasks.runtime.files import read_json, replacing, replacing_folder, write_json

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
