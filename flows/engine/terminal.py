"""What a person at a terminal sees of a flow: each stage's output under its name, and progress bars.

Nothing is shown unless a view is set: flows on workers have their page.
"""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_CHATTER = ("> ", "Generating lock file", "Updating lock file", "Reproducing")
_QUARTER = 25
_SECONDS_BETWEEN = 10.0
"""Without a terminal a stage's progress is one line per quarter, at most one every ten seconds."""
STOPPED = "stopped; what was finished stays usable, start again to go on"
"""The answer to Ctrl-C."""


@dataclass
class _Running:
    bar: TaskID | None
    since: float = field(default_factory=time.monotonic)
    quarter: int = 0
    printed_at: float = field(default_factory=time.monotonic)


class ProgressView:
    """The events of a walk; this one shows nothing."""

    def begin(self, stages: int) -> None:
        """Learn how many stages are out of date."""

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
        self._failures: dict[str, tuple[str, ...]] = {}
        self._ended = self._stages = 0
        self._all: TaskID | None = None

    def begin(self, stages: int) -> None:
        """Show the bar of all stages."""
        self._stages = stages
        if self._live and stages:
            self._all = self._bars.add_task(f"0 of {stages} stages", total=stages)
            self._bars.start()

    def start(self, stage: str) -> None:
        """Add a bar, which moves with the stage's first progress."""
        with self._lock:
            bar = self._bars.add_task(stage, total=None) if self._live else None
            self._running[stage] = _Running(bar)

    def line(self, stage: str, text: str) -> None:
        """Print a line after the stage's name; what DVC says of the stage itself is printed as it is."""
        if text.startswith(_CHATTER):
            return
        own = text.startswith((f"Running stage '{stage}'", f"Stage '{stage}'"))
        self._console.out(text.rstrip(":") if own else f"{stage} | {text}", highlight=False)

    def progress(self, stage: str, percent: int) -> None:
        """Move the stage's bar, or, without a terminal, print a line per quarter."""
        with self._lock:
            one = self._running.get(stage)
            if one is None:
                return
            if one.bar is not None:
                self._bars.update(one.bar, total=100, completed=percent)
                return
            quarter = percent // _QUARTER
            if one.quarter < quarter < 4 and time.monotonic() - one.printed_at > _SECONDS_BETWEEN:
                one.quarter, one.printed_at = quarter, time.monotonic()
                self._console.out(f"{stage} | {percent} %", highlight=False)

    def end(self, stage: str, *, executed: bool, failure: tuple[str, ...] | None = None) -> None:
        """Print how long the stage took."""
        with self._lock:
            one = self._running.pop(stage, _Running(None))
            self._failures.pop(stage, None)  # of a try on a machine that was lost
            self._ended += 1
            if one.bar is not None:
                self._bars.remove_task(one.bar)
            if self._all is not None:
                text = f"{self._ended} of {self._stages} stages"
                self._bars.update(self._all, completed=self._ended, description=text)
            seconds = f"{time.monotonic() - one.since:.0f} s"
            if failure is not None:
                self._failures[stage] = failure
                self._console.out(f"{stage} FAILED after {seconds}", highlight=False)
            elif executed:
                self._console.out(
                    f"{stage} done in {seconds} ({self._ended} of {self._stages})", highlight=False
                )

    def close(self) -> None:
        """Take the bars away, and show the end of the output of every stage that failed."""
        if self._live:
            self._bars.stop()
        for stage, lines in self._failures.items():
            self._console.out(
                "\n".join([f"\n{stage} failed:", *(f"  {line}" for line in lines), ""]), highlight=False
            )


QUIET = ProgressView()
watching: ContextVar[ProgressView] = ContextVar("watching", default=QUIET)
"""The view of the flow that runs in this process; Prefect hands it on to the flow's threads."""
