"""The curves of a training on Prefect's page while it runs."""

import csv
import threading
import time
from pathlib import Path

from prefect.artifacts import create_table_artifact

from flows.engine.artifacts import artifact_key
from hmu_tasks.runtime import paths

SECONDS_BETWEEN = 15.0
AFTER_SECONDS = 20.0
"""How long a training runs before its curves are shown."""
POINTS_SHOWN = 20


def live_file(root: Path, stage: str) -> Path | None:
    """File of the curves of a stage of the step `train`, such as `train-base@momask-full`; None for other steps."""
    step, _, rest = stage.partition("-")
    component = "-".join(part for part in rest.split("@") if part)
    return root / paths.LIVE / f"{component}.csv" if step == "train" and component else None


def latest_points(file: Path) -> list[dict[str, str]]:
    """Read the newest points, one row for each step with a column for each curve; empty until there are any."""
    if not file.exists():
        return []
    rows: dict[str, dict[str, str]] = {}
    with file.open(encoding="utf-8", newline="") as opened:
        for point in csv.DictReader(opened):
            if point.get("value") is not None:  # the last line may be half written
                rows.setdefault(point["step"], {"step": point["step"]})[point["name"]] = point["value"]
    return list(rows.values())[-POINTS_SHOWN:][::-1]


class TrainingCurves:
    """Table artifact of one training, newest points first; call it as often as you like."""

    def __init__(self, root: Path, stage: str) -> None:
        self._file, self._stage = live_file(root, stage), stage
        self._started = self._last = time.monotonic()
        self._shown: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Show the newest points, at most every 15 seconds."""
        with self._lock:
            now = time.monotonic()
            early = now - self._started < AFTER_SECONDS or now - self._last < SECONDS_BETWEEN
            if self._file is None or early:
                return
            self._last = now
            points = latest_points(self._file)
            if points and points != self._shown:
                self._shown = points
                create_table_artifact(
                    points,
                    key=artifact_key("curves", self._stage),
                    description=f"Curves of {self._stage} so far",
                )
