"""Intervals of time for libraries, which do not read the clock and the environment themselves."""

import math
import os
import time

from hmu_tasks.runtime.errors import ConfigError


def interval(name: str, default: float) -> float:
    """Read an interval in seconds from the environment; ConfigError where the variable is no number of seconds."""
    given = os.environ.get(name, str(default))
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise ConfigError(f"{name} is {given!r}; set a number of seconds such as 60, or unset it")
    return seconds


class Every:
    """Say whether an interval has passed since the last time that it had."""

    def __init__(self, seconds: float) -> None:
        """Start the first interval; seconds: its length, 0 = always passed."""
        self.seconds = seconds
        self.since = time.monotonic()

    def __call__(self, _step: int) -> bool:
        """Whether the interval has passed; the next one starts then."""
        now = time.monotonic()
        if now - self.since < self.seconds:
            return False
        self.since = now
        return True
