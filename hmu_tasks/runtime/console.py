"""What the command line shows: progress bars and the result table."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from hmu_tasks.config import params, paths
from hmu_tasks.runtime.errors import DataError

if TYPE_CHECKING:
    from hmu_tasks.ingest import IngestReport

IDS_SHOWN = 3
BAR_VARIABLE = "HMU_BAR_SECONDS"
"""Environment variable: how often a bar is written where there is no terminal; for who reads it and shows it anew."""


def bar(label: str) -> Callable[[int, int], None]:
    """Return a progress callback `(done, total)` that draws a bar on the terminal's error stream.

    A smaller `done` or another `total` starts a new bar. Without a terminal a line is written every 20 seconds, or
    as HMU_BAR_SECONDS says.
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


def load_params() -> params.Params:
    """Read params.yaml of the working directory."""
    return params.load()


def print_ingest(report: "IngestReport") -> None:
    """Print how much was packed, and for each reason how many ids were left out, with the first ones."""
    splits = ", ".join(f"{name} {count}" for name, count in report.packed.splits.items())
    lines = [f"{report.packed.clips} clips ({splits}), {report.packed.captions} captions"]
    left_out: dict[str, list[str]] = {}
    for entry in report.skipped:
        left_out.setdefault(entry.reason, []).append(entry.id)
    for what, groups in (("left out", left_out), ("converted from", report.converted)):
        for name, ids in sorted(groups.items()):
            shown = ", ".join(ids[:IDS_SHOWN]) + (", …" if len(ids) > IDS_SHOWN else "")
            lines.append(f"  {what} {name}: {len(ids)} ({shown})")
    if left_out or report.converted:
        lines.append(f"  all of them: {paths.CLIPS / 'ingest.json'}")
    sys.stdout.write("\n".join(lines) + "\n")


def print_table() -> None:
    """Print the summary that the report step wrote, and where the page is."""
    summary = paths.REPORTS / "summary.txt"
    if not summary.exists():
        raise DataError(f"{summary} is missing; run `make repro` (or `dvc repro`) first")
    sys.stdout.write(summary.read_text(encoding="utf-8"))
    sys.stdout.write(f"\nReport: {(paths.REPORTS / 'index.html').resolve().as_uri()}\n")
