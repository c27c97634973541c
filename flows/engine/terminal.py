"""What a flow in the foreground prints: each stage's output under its name, and one line with the bars of all.

Nothing is printed unless somebody watches: flows on workers have their page.
"""

import shutil
import sys
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TextIO

_CHATTER = ("> ", "Generating lock file", "Updating lock file", "Reproducing")
_QUARTER = 25
_SECONDS_BETWEEN = 10.0
"""Without a terminal a stage's progress is a line for each quarter, and no two of them come sooner than this."""
CLEAR_LINE = "\r\x1b[K"
STOPPED = "stopped; what was finished stays usable, start again to go on"
"""What Ctrl-C answers."""


@dataclass
class _Running:
    since: float = field(default_factory=time.monotonic)
    percent: int = 0
    said: int = 0
    said_at: float = field(default_factory=time.monotonic)


class View:
    """What happens to the stages of a flow; this one shows nothing."""

    def begin(self, stages: int) -> None:
        """Say how many stages have to be looked at."""

    def start(self, stage: str) -> None:
        """Say that a stage has got its slot."""

    def line(self, stage: str, text: str) -> None:
        """Say what a stage has printed."""

    def progress(self, stage: str, percent: int) -> None:
        """Say how far a stage is."""

    def end(self, stage: str, *, executed: bool, failure: tuple[str, ...] | None = None) -> None:
        """Say that a stage is through; `failure` holds the last lines of one that failed."""


class Terminal(View):
    """Prints what happens; on a terminal the last line shows the stages that run and how far they are."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._failures: dict[str, tuple[str, ...]] = {}
        self._through = 0
        self._stages = 0

    def begin(self, stages: int) -> None:
        """Remember how many stages there are."""
        self._stages = self._through + stages

    def start(self, stage: str) -> None:
        """Add the stage to the last line."""
        with self._lock:
            self._running[stage] = _Running()
            self._print()

    def line(self, stage: str, text: str) -> None:
        """Print a line under the stage's name; what DVC says of the stage stands for itself."""
        if text.startswith(_CHATTER):
            return
        own = text.startswith((f"Running stage '{stage}'", f"Stage '{stage}'"))
        with self._lock:
            self._print(text.rstrip(":") if own else f"{stage} | {text}")

    def progress(self, stage: str, percent: int) -> None:
        """Show the state in the last line, or, without a terminal, each quarter."""
        with self._lock:
            one = self._running.get(stage)
            if one is None:
                return
            one.percent = percent
            quarter = percent // _QUARTER * _QUARTER
            if self._live:
                self._print()
            elif quarter > one.said and quarter < 100 and time.monotonic() - one.said_at > _SECONDS_BETWEEN:
                one.said, one.said_at = quarter, time.monotonic()
                self._print(f"{stage} | {percent} %")

    def end(self, stage: str, *, executed: bool, failure: tuple[str, ...] | None = None) -> None:
        """Print how long the stage took."""
        with self._lock:
            one = self._running.pop(stage, _Running())
            self._through += 1
            seconds = f"{time.monotonic() - one.since:.0f} s"
            if failure is not None:
                self._failures[stage] = failure
                self._print(f"{stage} FAILED after {seconds}")
            elif executed:
                self._print(f"{stage} done in {seconds} ({self._through} of {self._stages})")
            else:
                self._print()

    def close(self) -> None:
        """Leave the last line, and show the end of the output of every stage that failed."""
        with self._lock:
            self._running.clear()
            self._print()
            for stage, lines in self._failures.items():
                self._print("\n".join([f"\n{stage} failed:", *(f"  {line}" for line in lines), ""]))

    def _print(self, text: str | None = None) -> None:
        """Write a finished line, and on a terminal the line with the running stages below it."""
        if self._live:
            self._stream.write(CLEAR_LINE)
        if text is not None:
            self._stream.write(f"{text}\n")
        if self._live and self._running:
            bars = [f"{name} {one.percent} %" for name, one in self._running.items()]
            state = f"[{self._through}/{self._stages}] " + ", ".join(bars)
            self._stream.write(state[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()


def failures(stages: int, failed: list[str], skipped: list[str]) -> str:
    """Say which of so many stages failed, and which could not be started for that."""
    message = f"{len(failed)} of {stages} stages failed: {', '.join(failed)}"
    return message + (f"; not started for that: {', '.join(skipped)}" if skipped else "")


QUIET = View()
watching: ContextVar[View] = ContextVar("watching", default=QUIET)
"""The view of the flow that runs in this process; Prefect hands it on to the flow's threads."""
