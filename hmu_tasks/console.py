"""What the command line shows: progress bars and the result table."""

import sys
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from hmu_tasks import params, paths
from hmu_tasks.errors import DataError


def bar(label: str) -> Callable[[int, int], None]:
    """Return a progress callback `(done, total)` that draws a bar on the terminal's error stream.

    A smaller `done` or another `total` starts a new bar. Without a terminal a line is written every 20 seconds.
    """
    shown: list[tqdm[Any]] = []

    def advance(done: int, total: int) -> None:
        if not shown or done < shown[-1].n or total != shown[-1].total:
            interval = 0.2 if sys.stderr.isatty() else 20
            shown.append(tqdm(total=total, desc=label, mininterval=interval))
        shown[-1].update(done - shown[-1].n)
        if done >= total:
            shown[-1].close()

    return advance


def load_params() -> params.Params:
    """Read params.yaml of the working directory."""
    return params.load()


def print_table() -> None:
    """Print the summary that the report step wrote, and where the page is."""
    summary = paths.REPORTS / "summary.txt"
    if not summary.exists():
        raise DataError(f"{summary} is missing; run `make repro` (or `dvc repro`) first")
    sys.stdout.write(summary.read_text(encoding="utf-8"))
    sys.stdout.write(f"\nReport: {(paths.REPORTS / 'index.html').resolve().as_uri()}\n")
