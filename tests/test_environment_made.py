"""Which Python `make` installs into, told by programs that stand in for Python and pip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny_world import ROOT

# Answers as a Python of this prefix would, and writes down that it made an environment.
PYTHON = """#!/bin/sh
case "$*" in
  *base_prefix*) echo "{prefix} (3, 11)" ;;
  "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo "{prefix}" >> made ;;
esac
"""


def program(file: Path, prefix: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PYTHON.format(prefix=prefix), encoding="utf-8")
    file.chmod(0o755)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project before its installation; `python3.11` is the one of `/first`."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "constraints-torch.txt"):
        shutil.copy(ROOT / name, tmp_path)
    program(tmp_path / "programs" / "python3.11", "/first")
    return tmp_path


def install(folder: Path, *arguments: str) -> tuple[str, list[str]]:
    """What make says, and the prefixes of the Pythons that made an environment, until now."""
    environment = {"PATH": f"{folder / 'programs'}{os.pathsep}{os.defpath}"}
    command = ["make", "--no-print-directory", "PIP=true", *arguments, ".venv/bin/.installed"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    made = folder / "made"
    return done.stderr, made.read_text(encoding="utf-8").split() if made.exists() else []


def outdate(folder: Path) -> None:
    """As when a pin changes."""
    (folder / ".venv" / "bin" / ".installed").unlink()


def test_the_first_python_makes_the_environment_and_keeps_it(folder: Path) -> None:
    assert install(folder) == ("", ["/first"])
    (folder / ".venv" / "own").touch()
    outdate(folder)
    assert install(folder) == ("", ["/first"])
    assert (folder / ".venv" / "own").exists()


def test_a_later_make_stays_with_the_python_that_was_given(folder: Path) -> None:
    other = program(folder / "other" / "python", "/second")
    assert install(folder, f"PYTHON={other}") == ("", ["/second"])
    (folder / ".venv" / "own").touch()
    for arguments in ((), (f"PYTHON={other}",)):
        outdate(folder)
        assert install(folder, *arguments) == ("", ["/second"])
    assert (folder / ".venv" / "own").exists()


def test_another_python_makes_the_environment_anew(folder: Path) -> None:
    install(folder)
    (folder / ".venv" / "own").touch()
    outdate(folder)
    other = program(folder / "other" / "python", "/second")
    assert install(folder, f"PYTHON={other}") == (
        f"making .venv anew with {other}\n",
        ["/first", "/second"],
    )
    assert not (folder / ".venv" / "own").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(folder: Path) -> None:
    gone = folder / ".venv" / "bin" / "python"
    gone.parent.mkdir(parents=True)
    gone.symlink_to("/nowhere/python3.11")
    told, made = install(folder)
    assert told.startswith("making .venv anew with ")
    assert made == ["/first"]
    assert not gone.is_symlink()
