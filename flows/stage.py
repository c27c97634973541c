"""One stage of DVC as a guarded subprocess whose output comes back line by line."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from flows.graph import DVC

GUARD = [sys.executable, "-m", "flows.guard"]
_BUSY = "is busy, it is being blocked by"


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: exit status of DVC, whether its command ran, and its last lines."""

    status: int
    executed: bool
    last_lines: tuple[str, ...]


@dataclass
class Processes:
    """The process groups of the stages that run now; `stop` ends them all and lets no further one start."""

    groups: set[int] = field(default_factory=set)
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(
        self, command: list[str], *, root: Path, environment: dict[str, str]
    ) -> subprocess.Popen[bytes] | None:
        """Start a guarded command as leader of its own process group; None after `stop`."""
        with self.lock:
            if self.stopped:
                return None
            process = subprocess.Popen(
                [*GUARD, "--", *command],
                cwd=root,
                env=os.environ | _search_path() | environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.groups.add(process.pid)
            return process

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a group whose guard has ended."""
        with self.lock:
            self.groups.discard(process.pid)

    def stop(self) -> None:
        """Tell every guard to end its group."""
        with self.lock:
            self.stopped = True
            for group in self.groups:
                try:
                    os.kill(group, signal.SIGTERM)
                except ProcessLookupError:
                    continue


def run_stage(
    name: str,
    *,
    root: Path,
    force: bool,
    environment: dict[str, str],
    processes: Processes,
    log: Callable[[str], None],
) -> Outcome:
    """Run one stage through DVC, which decides itself whether there is anything to do.

    --wait-for-lock: without it a finished stage can be lost when DVC takes its lock again. Overlapping
    paths are not waited for by that option, so a busy answer is tried once more.
    """
    command = [*DVC, "--wait-for-lock", "repro", "--single-item", *(["--force"] if force else []), name]
    outcome = _run(command, root=root, environment=environment, processes=processes, log=log)
    if outcome.status != 0 and any(_BUSY in line for line in outcome.last_lines):
        log("DVC is busy with these paths; once more")
        outcome = _run(command, root=root, environment=environment, processes=processes, log=log)
    return outcome


def _run(
    command: list[str],
    *,
    root: Path,
    environment: dict[str, str],
    processes: Processes,
    log: Callable[[str], None],
) -> Outcome:
    process = processes.start(command, root=root, environment=environment)
    if process is None:
        return Outcome(status=128 + signal.SIGTERM, executed=False, last_lines=("stopped before it began",))
    assert process.stdout is not None
    lines: list[str] = []
    executed = False
    try:
        with process.stdout as stream:
            for line in output_lines(stream):
                executed = executed or line.startswith("Running stage ")
                lines = [*lines[-19:], line]
                log(line)
        status = process.wait()
    finally:
        processes.ended(process)
    return Outcome(status=status, executed=executed, last_lines=tuple(lines))


def _search_path() -> dict[str, str]:
    """Let the stages' `python` be the one that runs the flow, also where no environment is activated."""
    folder = str(Path(sys.executable).parent)
    return {"PATH": os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])}


def output_lines(stream: IO[bytes]) -> Iterator[str]:
    """Split output into lines; of a progress bar, which writes over itself, only the last state is kept."""
    for raw in stream:
        line = raw.decode("utf-8", errors="replace").rstrip("\r\n").rsplit("\r", 1)[-1].rstrip()
        if line:
            yield line
