"""What the command line shows: progress bars and the result table."""

import sys

from tqdm import tqdm

from hmu_tasks import params, paths
from hmu_tasks.errors import DataError


class bar:  # noqa: N801 - used like a function
    """A progress callback `(done, total)` that draws a bar on the terminal's error stream."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.shown: tqdm[None] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Move the bar to `done` of `total`; a smaller `done` starts a new bar."""
        if self.shown is None or done < self.shown.n or total != self.shown.total:
            if self.shown is not None:
                self.shown.close()
            quiet = not sys.stderr.isatty()
            self.shown = tqdm(total=total, desc=self.label, mininterval=20 if quiet else 0.2, leave=True)
        self.shown.update(done - self.shown.n)
        if done >= total:
            self.shown.close()


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
