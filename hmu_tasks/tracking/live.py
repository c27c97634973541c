"""Curves of a training while it runs: a CSV file at once, and a run in MLflow when the training takes long.

MLflow is imported only then. A store that cannot be reached costs a line of warning and no training. The mirror
completes the run when dvc.lock vouches for the output (see `steps.fingerprint`).
"""

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking.steps import FINGERPRINT_TAG, STAGE_VARIABLE, fingerprint

if TYPE_CHECKING:
    from hmu_tasks.tracking.runs import StoreRun

AFTER_SECONDS = 60.0
"""How long a training lasts before its curves go to MLflow."""
_SAMPLE_SECONDS = 30
Rows = Sequence[tuple[int, str, float]]
"""Curve points: step, name, value."""


class LiveCurves:
    """Shows the curves of one training of a component; a context, which ends the run with the training."""

    def __init__(
        self, output: Path, *, params: Mapping[str, Any], tags: Mapping[str, str], track: bool
    ) -> None:
        """Take the folder that the training will write, and what its run in MLflow shows.

        track: False leaves MLflow out
        """
        self._output, self._params, self._tags, self._track = output, params, tags, track
        self._started, self._file = time.time(), paths.live_curves(output)
        self._since = time.monotonic()  # a clock that is put back must not keep the run from being shown
        self._written = self._sent = 0
        self._run: StoreRun | None = None
        self._monitor: Any = None

    def __enter__(self) -> "LiveCurves":
        """Start an empty file."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text("step,name,value\n", encoding="utf-8")
        return self

    def __call__(self, rows: Rows) -> None:
        """Show the points that are new; rows: all points so far, of a continued training also the earlier ones."""
        with self._file.open("a", encoding="utf-8", newline="") as file:
            new = rows[self._written :]
            file.writelines(f"{step},{name},{_written(value)}\n" for step, name, value in new)
        self._written = len(rows)
        if self._track and time.monotonic() - self._since >= AFTER_SECONDS:
            with self._unless_unreachable():
                self._send(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run; a training that succeeded has moved its output into place."""
        if self._run is None:
            return
        with self._unless_unreachable():
            self._stop_watching()
            if kind is None:
                self._run.tag(FINGERPRINT_TAG, fingerprint(self._output))
                self._run.close("FINISHED")
            else:
                status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
                self._run.close(status, (str(error) or kind.__name__)[:2000])

    def _send(self, rows: Rows) -> None:
        from hmu_tasks.tracking.store import probe

        if self._run is None:
            self._run = self._open()
        probe(self._run.uri)  # MLflow itself would hold the training up for minutes
        self._run.points(
            [
                (f"train/{name}", step, float(_written(value)))
                for step, name, value in rows[self._sent :]
                if _written(value)
            ]
        )
        self._sent = len(rows)

    def _open(self) -> "StoreRun":
        from hmu_tasks.tracking.runs import Opening, Store

        stage = os.environ.get(STAGE_VARIABLE)
        tags = dict(self._tags) | ({"hmu.stage": stage} if stage else {})
        origin, key = lineage.origin(Path()), lineage.pipeline_key()
        store = Store(Path())
        run = store.open_run(
            Opening(key, "train", self._output.name, self._params, origin, tags, self._started)
        )
        self._monitor = _watch_machine(run.run_id, store.uri)
        return run

    @contextmanager
    def _unless_unreachable(self) -> Iterator[None]:
        """Warn once where the store fails, and leave it alone from then on."""
        try:
            yield
        except HmuError as error:
            sys.stderr.write(f"warning: no live curves in MLflow, the training goes on: {error}\n")
            self._track, self._run = False, None
            self._stop_watching()

    def _stop_watching(self) -> None:
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None


def _written(value: float) -> str:
    """Write a value as history.csv does: six significant digits, NaN empty."""
    return "" if math.isnan(value) else f"{value:.6g}"


def _watch_machine(run: str, uri: str) -> Any:
    """Record processor, memory, disk and network (and GPUs where pynvml is there) twice a minute, from a thread.

    MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false switches it off, and None is returned.
    """
    if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").lower() == "false":
        return None
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run, sampling_interval=_SAMPLE_SECONDS, tracking_uri=uri)
    monitor.start()
    return monitor
