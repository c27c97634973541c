"""Intervals of time for libraries, which do not read the clock themselves."""

import time


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
