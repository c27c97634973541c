"""Continue in the project's own .venv where another Python was started: import this first.

`dvc.yaml` runs `python -m hmu_tasks`. Started as `.venv/bin/dvc repro`, without activating .venv, that is the system's
Python, which has none of the project's libraries.
"""

import importlib.util
import os
import sys
from pathlib import Path

_VARIABLE = "HMU_INTERPRETER"
"""Environment variable: set for the second Python, so that it does not look for a third."""


def needed() -> "Path | None":
    """Return the Python of .venv if this one lacks the project's libraries; None if there is nothing to change."""
    own = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "python"
    if importlib.util.find_spec("typer") is not None or _VARIABLE in os.environ or not own.exists():
        return None
    return own


def change() -> None:
    """Start the command again with the Python of .venv, where that is needed."""
    own = needed()
    if own is not None:
        os.environ[_VARIABLE] = str(own)
        os.environ["PATH"] = f"{own.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        command = [str(own), *sys.orig_argv[1:]]
        os.execve(command[0], command, os.environ)  # noqa: S606 there is no shell in between


change()
