"""What runs on this machine, as the tests look at it."""

import os
from pathlib import Path

import psutil

CHILDREN = str(Path(__file__).with_name("children"))
"""Folder for PYTHONPATH: settings of the processes that tests start."""


def processes_in(folder: Path) -> list[psutil.Process]:
    """Every other process whose working folder is in `folder`: stages, DVC, guards, servers."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue
    return found


def command_line(process: psutil.Process) -> str:
    """Program and arguments of a process; empty once it has ended, which it may do at any moment."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
