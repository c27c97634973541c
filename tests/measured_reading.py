"""Read a hostile file under a clock and a meter: what came of it, in how many seconds and bytes."""

import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hmu_tasks.runtime.errors import HmuError

MIB = 1 << 20


@dataclass(frozen=True)
class Reading:
    """What came of reading a file: `read`, `refused`, `traceback` or `hang`; the message; seconds; MiB above before."""

    outcome: str
    message: str
    seconds: float
    memory: float


class _TooLongError(BaseException):
    pass


def _late(number: int, frame: FrameType | None) -> None:
    raise _TooLongError


def measured(read: Callable[[], Any], *, seconds: float = 20.0) -> Reading:
    """Read in this process; a reader that does not return in time is interrupted and counts as a hang."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
    before, start = _memory("VmRSS"), time.monotonic()
    kept = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome, message = _outcome(read)
    except _TooLongError:
        outcome, message = "hang", f"no answer in {seconds:g} s"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)
    return Reading(outcome, message, time.monotonic() - start, max(0.0, (_memory("VmHWM") - before) / MIB))


def _outcome(read: Callable[[], Any]) -> tuple[str, str]:
    try:
        read()
    except (HmuError, FileNotFoundError) as error:  # a missing file is the callers' to word
        return "refused", str(error)
    except Exception as error:  # noqa: BLE001 - any other error is what is looked for
        return "traceback", f"{type(error).__name__}: {error}"
    return "read", ""


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])
