"""What a person at a terminal sees of a flow: each stage's output under its name, and progress bars.

Nothing is shown unless a view is set: flows on workers have their page.
"""

import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from flows.engine.estimate import TimeEstimate, announcement
from flows.engine.graph import Stage

_CHATTER = ("> ", "Generating lock file", "Updating lock file", "Reproducing")
_CAUSE = "error: "
"""How a step's message to the user starts; it is shown once, when the stage has ended."""
_DVC_FAILURE = "ERROR: failed to reproduce "
_QUARTER = 25
_SECONDS_BETWEEN = 10.0
"""Without a terminal a stage's progress is one line per quarter, at most one every ten seconds."""
STOPPED = "stopped; start again to go on where it was stopped: finished stages stay, training from its last checkpoint"
"""The answer to Ctrl-C."""


@dataclass
class _Running:
    bar: TaskID | None
    since: float = field(default_factory=time.monotonic)
    quarter: int = 0
    printed_at: float = field(default_factory=time.monotonic)
    held: bool = False  # whether what follows belongs to a message that is shown at the end


class ProgressView:
    """The events of a walk; this one shows nothing."""

    def begin(self, changed: Sequence[Stage], *, total: int, jobs: int) -> None:
        """Learn which of all stages are out of date, and how many run in parallel."""

    def start(self, stage: str) -> None:
        """Learn that a stage starts."""

    def line(self, stage: str, text: str) -> None:
        """Learn what a stage has printed."""

    def progress(self, stage: str, percent: int) -> None:
        """Learn the state of a stage's bar."""

    def end(self, stage: str, *, executed: bool, failure: tuple[str, ...] | None = None) -> None:
        """Learn that a stage has ended; `failure` holds the last lines of one that failed."""


class Terminal(ProgressView):
    """Lines on the error stream; on a terminal, live bars of the running stages below them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream, stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            refresh_per_second=4,
        )
        self._live = self._console.is_terminal
        self._lock = Lock()
        self._running: dict[str, _Running] = {}
        self._estimate = TimeEstimate(())
        self._ended = self._stages = 0
        self._all: TaskID | None = None

    def begin(self, changed: Sequence[Stage], *, total: int, jobs: int) -> None:
        """Say how much there is to do, and show the bar of all stages."""
        self._stages = len(changed)
        self._estimate = TimeEstimate(changed, jobs)
        if not changed:
            return
        self._console.out(announcement(changed, total=total, jobs=jobs), highlight=False)
        if self._live:
            self._all = self._bars.add_task(self._state(), total=self._stages)
            self._bars.start()

    def _state(self) -> str:
        rest = f", {self._estimate.words} left" if self._ended < self._stages else ""
        return f"{self._ended} of {self._stages} stages{rest}"

    def start(self, stage: str) -> None:
        """Add a bar, which moves with the stage's first progress."""
        with self._lock:
            bar = self._bars.add_task(stage, total=None) if self._live else None
            self._running[stage] = _Running(bar)

    def line(self, stage: str, text: str) -> None:
        """Print a line after the stage's name; what DVC says of the stage itself is printed as it is."""
        with self._lock:
            one = self._running.get(stage)
            if one is not None:
                one.held = one.held or text.startswith(_CAUSE)
            if text.startswith((*_CHATTER, _DVC_FAILURE)) or (one is not None and one.held):
                return
        own = text.startswith((f"Running stage '{stage}'", f"Stage '{stage}'"))
        self._console.out(text.rstrip(":") if own else f"{stage} | {text}", highlight=False)

    def progress(self, stage: str, percent: int) -> None:
        """Move the stage's bar, or, without a terminal, print a line per quarter."""
        with self._lock:
            one = self._running.get(stage)
            if one is None:
                return
            self._estimate.progress(stage, percent / 100)
            if one.bar is not None:
                self._bars.update(one.bar, total=100, completed=percent)
                return
            quarter = percent // _QUARTER
            if one.quarter < quarter < 4 and time.monotonic() - one.printed_at > _SECONDS_BETWEEN:
                one.quarter, one.printed_at = quarter, time.monotonic()
                self._console.out(f"{stage} | {percent} %", highlight=False)

    def end(self, stage: str, *, executed: bool, failure: tuple[str, ...] | None = None) -> None:
        """Print how long the stage took, and why it failed."""
        with self._lock:
            one = self._running.pop(stage, _Running(None))
            self._ended += 1
            seconds = time.monotonic() - one.since
            if executed and failure is None:
                self._estimate.end(stage, seconds)
            else:
                self._estimate.drop(stage)
            if one.bar is not None:
                self._bars.remove_task(one.bar)
            if self._all is not None:
                self._bars.update(self._all, completed=self._ended, description=self._state())
            if failure is not None:
                cause = "\n".join(f"  {line}" for line in cause_of(failure))
                self._console.out(f"{stage} FAILED after {seconds:.0f} s:\n{cause}", highlight=False)
            elif executed:
                self._console.out(f"{stage} done in {seconds:.0f} s ({self._state()})", highlight=False)

    def close(self) -> None:
        """Take the bars away."""
        if self._live:
            self._bars.stop()


def cause_of(lines: Sequence[str]) -> tuple[str, ...]:
    """Pick out of a failed stage's last lines why it failed.

    That is the step's message to the user; else what DVC says, if that is more than that the command failed; else
    the last line, before which a traceback was printed. Lines without any of DVC are the reason why it
    could not run, and are shown whole.
    """
    own = [line for line in lines if not line.startswith(_DVC_FAILURE)]
    starts = [place for place, line in enumerate(own) if line.startswith(_CAUSE)]
    if starts:
        return tuple(own[starts[-1] :])
    if len(own) == len(lines):
        return tuple(lines)
    from_dvc = [line for line in lines if line.startswith(_DVC_FAILURE) and "failed to run:" not in line]
    return tuple(from_dvc[-1:] or own[-1:])


QUIET = ProgressView()
watching: ContextVar[ProgressView] = ContextVar("watching", default=QUIET)
"""The view of the flow that runs in this process; Prefect hands it on to the flow's threads."""
