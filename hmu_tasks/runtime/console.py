"""Progress bars on stderr."""

import os
import sys
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

BAR_VARIABLE = "HMU_BAR_SECONDS"
"""Environment variable: seconds between progress lines without a TTY."""


def bar(label: str) -> Callable[[int, int], None]:
    """Return a progress callback `(done, total)` that draws a bar on stderr.

    A smaller `done` or a different `total` starts a new bar. Without a TTY, prints a line every HMU_BAR_SECONDS
    (default 20).
    """
    shown: list[tqdm[Any]] = []

    def advance(done: int, total: int) -> None:
        if not shown or done < shown[-1].n or total != shown[-1].total:
            interval = 0.2 if sys.stderr.isatty() else float(os.environ.get(BAR_VARIABLE, "20"))
            shown.append(tqdm(total=total, desc=label, mininterval=interval))
        shown[-1].update(done - shown[-1].n)
        if done >= total:
            shown[-1].close()

    return advance
