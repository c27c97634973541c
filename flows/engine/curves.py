"""The curves of a training while it runs, as an artifact of its flow run."""

import contextvars
import csv
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from flows.engine.artifacts import artifact_key, quiet
from flows.engine.graph import Stage
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.markdown import plain

AFTER_SECONDS = 20.0
SECONDS_BETWEEN = 15.0
POINTS_SHOWN = 20


@contextmanager
def live_curves(stage: Stage, root: Path, *, warn: Callable[[str], object]) -> Iterator[None]:
    """Show the curves of a train stage that runs for longer than 20 s, updated every 15 s while they grow."""
    if not stage.name.startswith("train"):
        yield
        return
    ended = threading.Event()
    curves = Curves(stage.name, live_file(root, stage.name))

    def follow() -> None:
        wait = AFTER_SECONDS
        while not ended.wait(wait):
            quiet(curves.show, warn)
            wait = SECONDS_BETWEEN

    # The artifact belongs to the flow run, which Prefect finds in the context.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(follow,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def live_file(root: Path, stage: str) -> Path:
    """Return the file to which a train stage appends its curves: base-momask-full-0 for `train-base@momask-full-0`."""
    component = stage.removeprefix("train").lstrip("-@").replace("@", "-")
    return root / paths.LIVE / f"{component}.csv"


class Curves:
    """The artifact of one training; it appears with the first points."""

    def __init__(self, stage: str, file: Path) -> None:
        self._stage, self._file = stage, file
        # A file that exists already belongs to an earlier training.
        self._seen = self._modified()
        self._artifact: Any = None

    def _modified(self) -> int:
        return self._file.stat().st_mtime_ns if self._file.exists() else 0

    def show(self) -> None:
        """Create or update the artifact if the file has grown."""
        modified = self._modified()
        if modified == self._seen:
            return
        points = read_points(self._file.read_text(encoding="utf-8"))
        if not points:
            return
        text = as_tables(points)
        if self._artifact is None:
            self._artifact = create_markdown_artifact(
                text,
                key=artifact_key("curves", self._stage),
                description=plain(f"Curves of {self._stage} so far"),
            )
        else:
            with get_client(sync_client=True) as client:
                client.update_artifact(self._artifact, ArtifactUpdate(data=text))
        self._seen = modified


def read_points(text: str) -> list[tuple[str, str, str]]:
    """Read (step, name, value) from a CSV text with a header; a last line still being written is left out."""
    complete = text[: text.rfind("\n") + 1]
    rows = csv.DictReader(complete.splitlines())
    return [(row["step"], row["name"], row["value"]) for row in rows]


def as_tables(points: list[tuple[str, str, str]]) -> str:
    """Lay points out as Markdown: the latest value of each curve, and the last 20 points, newest first."""
    latest = {name: (step, value) for step, name, value in points}
    lines = ["| curve | step | latest |", "|---|---:|---:|"]
    lines += [f"| {plain(name)} | {plain(step)} | {plain(value)} |" for name, (step, value) in latest.items()]
    lines += ["", f"The last {min(len(points), POINTS_SHOWN)} points:", ""]
    lines += ["| step | curve | value |", "|---:|---|---:|"]
    newest = reversed(points[-POINTS_SHOWN:])
    lines += [f"| {plain(step)} | {plain(name)} | {plain(value)} |" for step, name, value in newest]
    return "\n".join(lines) + "\n"
