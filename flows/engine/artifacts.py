"""Artifacts of a flow run: progress of a stage, failures, broken contracts, metrics, the location of the report."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from hmu_tasks.runtime import paths
from hmu_tasks.runtime.markdown import code, fenced, plain

SIDES = ("forget", "retain")
METRICS = (
    "fid",
    "kid",
    "r1",
    "mm_dist",
    "mm_safe",
    "diversity",
    "violence",
    "violence_second",
    "peak_jerk",
)
CLIPS_SHOWN = 20
_CONTRACTS = paths.VALIDATION_SITE / "validation.json"
_SECONDS_BETWEEN = 5.0


def artifact_key(prefix: str, name: str) -> str:
    """Spell a stage's name with the characters that Prefect allows in an artifact's key."""
    return re.sub(r"[^a-z0-9]+", "-", f"{prefix}-{name}".lower()).strip("-")


def leave_table(rows: Sequence[Mapping[str, object]], *, key: str, description: str) -> None:
    """Show a table. Prefect's page reads cells and descriptions as Markdown, so both are escaped."""
    shown = [{name: plain(cell) for name, cell in row.items()} for row in rows]
    create_table_artifact(shown, key=key, description=plain(description))


def leave_markdown(text: str, *, key: str, description: str) -> None:
    """Show a text of ours, in which whatever was filled in is escaped already."""
    create_markdown_artifact(text, key=key, description=plain(description))


class Progress:
    """A live progress artifact of one stage; it appears with the first state of the stage's bar."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._id: Any = None
        self._shown = (-1, "")
        self._last = 0.0
        self._lock = threading.Lock()

    def __call__(self, label: str, percent: int) -> None:
        """Show a state, at most every five seconds; the end of a bar at once."""
        with self._lock:
            now = time.monotonic()
            if (percent, label) == self._shown or (percent < 100 and now - self._last < _SECONDS_BETWEEN):
                return
            self._shown, self._last = (percent, label), now
            text = plain(f"{label or self._stage}: {percent} %")
            if self._id is None:
                key = artifact_key("progress", self._stage)
                self._id = create_progress_artifact(float(percent), key=key, description=text)
            else:
                update_progress_artifact(self._id, float(percent), description=text)

    def finish(self) -> None:
        """Show a stage that succeeded as done, even if its last bar was too quick to be shown."""
        with self._lock:
            if self._id is not None:
                update_progress_artifact(self._id, 100.0, description=plain(f"{self._stage}: done"))


def contracts_made(root: Path) -> int | None:
    """When the last record of data contracts was written, in the time of its file system; None without one."""
    record = root / _CONTRACTS
    return record.stat().st_mtime_ns if record.exists() else None


def leave_broken_contracts(root: Path, *, before: int | None) -> int:
    """Show the data contracts that a stage has just found broken, with their first clips; return how many.

    before: what `contracts_made` said before the stage; the same record belongs to an earlier run
    """
    record = root / _CONTRACTS
    if contracts_made(root) in (None, before):
        return 0
    suites = json.loads(record.read_text(encoding="utf-8"))["suites"]
    rows = [
        {
            "suite": suite["name"],
            "contract": contract["contract"],
            "column": contract["column"] or "",
            "broken by": contract["unexpected"]
            if contract["unexpected"] is not None
            else contract["observed"],
            "clips": ", ".join(contract["clips"][:CLIPS_SHOWN]),
        }
        for suite in suites
        for contract in suite["contracts"]
        if not contract["success"]
    ]
    if rows:
        leave_table(rows, key="broken-contracts", description="Broken data contracts and their clips")
    return len(rows)


def leave_failure(stage: str, lines: tuple[str, ...]) -> None:
    """Show the end of a failed stage's output."""
    leave_markdown(
        f"# {plain(stage)} failed\n\n{fenced(chr(10).join(lines))}\n",
        key=artifact_key("failure", stage),
        description=f"The last lines of {stage}",
    )


def leave_metrics(root: Path) -> None:
    """Show the result table of the report as text, and its main metrics as a table that can be sorted."""
    summary, records = root / paths.REPORTS / "summary.txt", root / paths.REPORTS / "benchmark.json"
    if summary.exists():
        text = summary.read_text(encoding="utf-8").rstrip()
        leave_markdown(f"{fenced(text)}\n", key="summary", description="Result table of the report")
    if records.exists():
        rows = metric_rows(json.loads(records.read_text(encoding="utf-8")))
        leave_table(rows, key="metrics", description="Metrics of the report on the test prompts")


def metric_rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pivot the records of benchmark.json: one row per strength of a method and side of the test prompts.

    Rows hold the mean of METRICS over noise samples.
    """
    from hmu_tasks.viewer.table import pool

    cells: dict[tuple[Any, ...], dict[str, list[Any]]] = {}
    for record in records:
        if record["split"] in SIDES and record["metric"] in METRICS:
            key = (record["split"], record["model"], record["method"], record["strength"])
            cells.setdefault(key, {}).setdefault(record["metric"], []).append(record)
    rows = []
    for (split, model, method, strength), found in cells.items():
        row = {
            "prompts": split,
            "model": model,
            "method": method,
            "strength": "" if strength is None else strength,
        }
        for name in METRICS:
            cell = pool(found.get(name, []))
            row[name] = "" if cell is None else f"{cell.mean:.4g}"
        rows.append(row)
    return sorted(rows, key=lambda row: SIDES.index(row["prompts"]))


def leave_report(page: Path, *, how: str, link: str | None = None) -> None:
    """Show where the report is, with a link where it is served.

    link: address of the page; None where nothing serves it
    """
    text = f"# Report\n\n{code(page)}\n\n{plain(how)}\n"
    if link is not None:
        text += f"\n[Open the report]({link})\n"
    leave_markdown(text, key="report", description="Location of the report")


def quiet(show: Callable[[], object], warn: Callable[[str], object]) -> None:
    """Show something that nothing depends on; a server that does not answer must not stop the run."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        show()
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        warn(f"an artifact could not be shown: {error}")
