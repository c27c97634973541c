"""Commands of DVC as guarded subprocesses whose output comes back line by line."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from flows.engine.graph import DVC
from flows.engine.guard import GUARD
from flows.engine.redaction import redactor

HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Environment of stages: memory in pages of 2 MB if Linux has them (gain: benchmarks/huge_pages.py).

Read at the start of a process only, so that no step can set it for itself; other systems ignore it.
"""
_BUSY = "is busy, it is being blocked by"
_RUN_CACHE_RACE = re.compile(
    r"No such file or directory: '[^']*[/\\]runs[/\\][0-9a-f]{2}[/\\][0-9a-f]{64}[/\\]\.[^'/\\]*\.tmp'"
)
"""Two runs share a cache and come to the same stage: one reads the entry that the other is about to write, takes it for
damaged and removes it; one of them finds it gone."""
_BAR = re.compile(r"(?P<label>[^\r\n]*?):?\s*(?P<percent>\d{1,3})%\|")
_KEPT_LINES = 60
STOPPED = "stopped before it began"
_HINTS = frozenset(
    {
        "To track the changes with git, run:",
        "git add dvc.lock",
        "To enable auto staging, run:",
        "dvc config core.autostage true",
        "Use `dvc push` to send your updates to remote storage.",
    }
)
"""DVC's advice to a person at a terminal; here the flow follows it."""


_CRASHES = frozenset(
    128 + number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)
)
"""Exit statuses of a process that was ended by its own fault."""


@dataclass(frozen=True)
class StageResult:
    """How a command ended: exit status of DVC, whether a stage's command ran, and the last lines."""

    status: int
    executed: bool
    last_lines: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The end of the output, which has the reason of a failure."""
        return "\n".join(self.last_lines[-4:])


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
                env=HUGE_PAGES | os.environ | _search_path() | environment,
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


@dataclass(frozen=True)
class Console:
    """Where the output goes: finished lines to `log` and, but for bars, to `show`; a bar's state to `progress`."""

    log: Callable[[str], None]
    progress: Callable[[str, int], object] = lambda *_: None
    show: Callable[[str], None] = lambda _: None


def run_stage(
    name: str,
    *,
    root: Path,
    force: bool,
    environment: dict[str, str],
    processes: Processes,
    console: Console,
    pull: bool = False,
) -> StageResult:
    """Run one stage through DVC, which decides itself whether there is anything to do.

    pull: take the stage's result from the remote if another machine has made it already
    Without --wait-for-lock a finished stage can be lost when DVC takes its lock again. The option does not wait for
    overlapping paths, so a busy answer is retried once, and so is a crash of DVC itself, which can follow a stage that
    has ended well; a stage that is killed makes DVC fail, not crash. Where DVC stumbles over another run in the run
    cache, a stage that had not begun is retried; one that had begun has ended well by then, and its outputs are
    committed.
    """
    options = [*(["--force"] if force else []), *(["--pull"] if pull else [])]
    arguments = ["repro", "--single-item", *options, name]

    def run(command: list[str]) -> StageResult:
        return run_dvc(command, root=root, environment=environment, processes=processes, console=console)

    outcome = run(arguments)
    if outcome.status != 0 and any(_BUSY in line for line in outcome.last_lines):
        console.log("DVC is busy with these paths; retrying once")
        outcome = run(arguments)
    if outcome.status in _CRASHES and not processes.stopped:
        console.log(f"DVC crashed (signal {outcome.status - 128}); retrying once")
        outcome = run(arguments)
    if outcome.status != 0 and any(_RUN_CACHE_RACE.search(line) for line in outcome.last_lines):
        if outcome.executed:
            console.log("DVC met another run of this stage in its run cache; committing what the stage made")
            outcome = replace(run(["commit", "--force", name]), executed=True)
        else:
            console.log("DVC met another run of this stage in its run cache; retrying once")
            outcome = run(arguments)
    if outcome.status != 0 and outcome.executed and not processes.stopped:
        # DVC removes a stage's output before it runs the command; what the last good run made comes back from the
        # cache. Where the cache does not hold it there is nothing to restore.
        quiet = Console(log=lambda _: None)
        run_dvc(["checkout", name], root=root, environment=environment, processes=processes, console=quiet)
    return outcome


def run_dvc(
    arguments: list[str],
    *,
    root: Path,
    environment: dict[str, str],
    processes: Processes,
    console: Console,
) -> StageResult:
    """Run a command of DVC under a guard."""
    command = [*DVC, "--wait-for-lock", *arguments]
    process = processes.start(command, root=root, environment=environment)
    if process is None:
        return StageResult(status=128 + signal.SIGTERM, executed=False, last_lines=(STOPPED,))
    assert process.stdout is not None
    redact = redactor(os.environ | environment)
    lines: list[str] = []
    executed = False
    try:
        with process.stdout as stream:
            for raw, complete in output_lines(stream):
                line = redact(raw)
                if line.strip() in _HINTS:
                    continue
                if bar := _BAR.match(line):
                    console.progress(bar["label"], min(int(bar["percent"]), 100))
                elif complete:
                    console.show(line)
                if complete:
                    executed = executed or line.startswith("Running stage ")
                    lines = [*lines[-_KEPT_LINES:], line]
                    console.log(line)
        status = process.wait()
    finally:
        processes.ended(process)
    return StageResult(status=status, executed=executed, last_lines=tuple(lines))


def _search_path() -> dict[str, str]:
    """Let the stages' `python` be the one that runs the flow, even if no environment is activated."""
    folder = str(Path(sys.executable).parent)
    return {"PATH": os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])}


def output_lines(stream: IO[bytes]) -> Iterator[tuple[str, bool]]:
    """Split output into lines; yield (text, whether the line is complete).

    A progress bar writes over itself: its states come as they appear, only the last one is a complete line.
    """
    rest = b""
    while block := os.read(stream.fileno(), 65536):
        *lines, rest = (rest + block).split(b"\n")
        rest = rest[rest.rstrip(b"\r").rfind(b"\r") + 1 :]
        for raw, complete in (*((line, True) for line in lines), (rest, False)):
            if text := _last_state(raw):
                yield text, complete
    if text := _last_state(rest):
        yield text, True


def _last_state(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace").rstrip("\r").rsplit("\r", 1)[-1].rstrip()
