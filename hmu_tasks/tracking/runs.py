"""Runs in the MLflow store: a step's run below the parent of its pipeline run."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking.step_run import DATA_FOLDER, DATA_TAG, Opening, Points, StepRun
from hmu_tasks.tracking.store import (
    clear_errors,
    new_client,
    probe,
    side_folder,
    store_lock,
    tracking_uri,
    without_password,
)
from hmu_tasks.tracking.views import experiment_tags

EXPERIMENT = "hmu"
_SAMPLE_SECONDS = 30
_COMMANDS = {"dvc": "dvc repro", "prefect": "python -m flows.pipeline", "step": "python -m hmu_tasks"}
"""What started a pipeline run, by the first word of its key."""


class StoreRun(StepRun):
    """An open run in the store that `uri` names."""

    def __init__(self, client: Any, uri: str, root: Path, *, experiment: str, parent: str, run: str) -> None:
        """Take the MlflowClient and the identifiers of experiment, parent run and run."""
        self.client, self.uri = client, uri
        self.run_id = run
        self._root, self._experiment, self._parent = root, experiment, parent
        self._monitor = _watch_machine(run, uri)

    def points(self, points: Points) -> None:
        """Record values in few requests."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(metric_name(name), value, now, step) for name, step, value in points]
        with clear_errors(self.uri):
            for start in range(0, len(batch), 1000):  # MLflow's limit for one request
                self.client.log_batch(self.run_id, metrics=batch[start : start + 1000])

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file or a folder."""
        if not path.exists():
            raise HmuError(f"{path} cannot be recorded in MLflow: it does not exist")
        with clear_errors(self.uri):
            if path.is_dir():
                inside = f"{folder}/{path.name}" if folder else path.name
                self.client.log_artifacts(self.run_id, str(path), artifact_path=inside)
            else:
                self.client.log_artifact(self.run_id, str(path), artifact_path=folder)

    def tag(self, name: str, value: object) -> None:
        """Set one tag."""
        with clear_errors(self.uri):
            self.client.set_tag(self.run_id, name, str(value))

    def close(self, status: str, error: str = "") -> None:
        """End the run and settle its parent."""
        self._end_watch()
        if error:
            self.tag("hmu.error", error)
        with clear_errors(self.uri), store_lock(self.uri, self._root):
            self.client.set_terminated(self.run_id, status)
            _settle(self.client, self._experiment, self._parent)

    def _end_watch(self) -> None:
        monitor = self._monitor
        if monitor is None:
            return
        monitor.finish()
        with clear_errors(self.uri):
            # MLflow drops the last, unfinished half minute, and with it all of a short step.
            for part in monitor.monitors:
                part.clear_metrics()
            monitor.collect_metrics()
            monitor.publish_metrics(monitor.aggregate_metrics())
            monitor.mlflow_logger.flush()


def metric_name(name: str) -> str:
    """Spell a metric's name with the characters that MLflow allows: `R@1` becomes `R_1`."""
    return "".join(sign if sign.isalnum() or sign in "_-./: " else "_" for sign in name)


def open_run(opening: Opening) -> StoreRun:
    """Open a step's run, and its parent where it is the first; raises HmuError when the store cannot be reached."""
    root = Path(opening.root)
    uri = tracking_uri(root)
    probe(uri)
    with clear_errors(uri):
        with store_lock(uri, root):
            client = new_client(uri)  # creates the tables of a fresh store
            experiment = _experiment(client, uri, root)
            _close_dead_runs(client, experiment)
            parent = _parent_run(client, experiment, opening)
            tags = opening.tags | {"mlflow.parentRunId": parent}
            run = str(client.create_run(experiment, run_name=opening.name, tags=tags).info.run_id)
            client.update_run(parent, status="RUNNING")
        _log_params(client, run, opening.params)
        _log_data(client, run, opening.origin.get(DATA_TAG))
    return StoreRun(client, uri, root, experiment=experiment, parent=parent, run=run)


def _watch_machine(run: str, uri: str) -> Any:
    """Record processor, memory, disk and network (and GPUs where pynvml is there) while a step runs.

    One sample per half minute, from a thread, and one at the end; MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false switches
    it off, and None is returned.
    """
    if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").lower() == "false":
        return None
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run, sampling_interval=_SAMPLE_SECONDS, tracking_uri=uri)
    monitor.start()
    return monitor


def _experiment(client: Any, uri: str, root: Path) -> str:
    """Find or create the experiment; a store that is a database keeps the artifacts in this checkout.

    MLflow freezes the absolute artifact folder in the experiment, so a checkout that was copied with its
    runs/ folder gets an experiment of its own instead of writing into the original's folder.
    """
    if urlsplit(uri).scheme in {"http", "https"}:
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return str(client.create_experiment(EXPERIMENT, tags=experiment_tags()))
        return str(found.experiment_id)
    location = os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT") or (side_folder(root) / "artifacts").as_uri()
    for name in (EXPERIMENT, f"{EXPERIMENT} {root.resolve()}"):
        found = client.get_experiment_by_name(name)
        if found is None:
            return str(client.create_experiment(name, location, experiment_tags()))
        if found.artifact_location == location or "MLFLOW_TRACKING_URI" in os.environ:
            return str(found.experiment_id)
    raise HmuError(
        f"both MLflow experiments of {without_password(uri)} keep their artifacts elsewhere; "
        f"move {side_folder(root)} away and start again"
    )


def _parent_run(client: Any, experiment: str, opening: Opening) -> str:
    """Find the parent run of this pipeline run, or open it; called under the lock."""
    quoted = opening.pipeline.replace("'", "_")
    query = f"tags.\"hmu.pipeline\" = '{quoted}'"
    found = client.search_runs([experiment], query, max_results=1, order_by=["attributes.start_time ASC"])
    if found:
        return str(found[0].info.run_id)
    title = time.strftime("run %m-%d %H:%M:%S")  # MLflow's column shows about twenty letters
    command = _COMMANDS.get(quoted.partition("-")[0], quoted)
    tags = opening.origin | {
        "hmu.step": "pipeline",
        "hmu.pipeline": quoted,
        "mlflow.source.name": command,
        "mlflow.note.content": f"One run of the pipeline, started by `{command}`; its steps are the runs below it.",
    }
    return str(client.create_run(experiment, run_name=title, tags=tags).info.run_id)


def _log_params(client: Any, run: str, params: dict[str, str]) -> None:
    from mlflow.entities import Param

    batch = [Param(metric_name(key)[:250], text[:6000]) for key, text in params.items()]
    for start in range(0, len(batch), 100):  # MLflow's limit for one request
        client.log_batch(run, params=batch[start : start + 100])


def _log_data(client: Any, run: str, digest: str | None) -> None:
    """Name the clips with their digest in the column *Dataset*, once an ingest stage has written them."""
    from mlflow.entities import Dataset, DatasetInput

    if digest is not None:
        # MLflow keeps 36 letters of a digest, and a DVC folder's md5 has 32 and its suffix `.dir`.
        data = Dataset(DATA_FOLDER, digest[:36], "dvc", json.dumps({"path": DATA_FOLDER, "md5": digest}))
        client.log_inputs(run, [DatasetInput(data)])


def _close_dead_runs(client: Any, experiment: str) -> None:
    """Mark as KILLED what a SIGKILL left RUNNING on this machine; called under the lock."""
    query = f"attributes.status = 'RUNNING' AND tags.\"hmu.host\" = '{socket.gethostname()}'"
    parents = set()
    for run in client.search_runs([experiment], query):
        identity = run.data.tags.get("hmu.process", "")
        parent = run.data.tags.get("mlflow.parentRunId")
        if parent and lineage.process_identity(int(identity.split("-")[0] or 0)) != identity:
            client.set_terminated(run.info.run_id, "KILLED")
            parents.add(parent)
    for parent in parents:
        _settle(client, experiment, parent)


def _settle(client: Any, experiment: str, parent: str) -> None:
    """Give the parent the state of its children: the last run of each step counts; called under the lock.

    No process knows when the last stage of a pipeline run is through, so the parent ends with each child
    and is opened again by the next.
    """
    children = client.search_runs(
        [experiment], f"tags.\"mlflow.parentRunId\" = '{parent}'", order_by=["attributes.start_time ASC"]
    )
    last = {(run.data.tags.get("hmu.step"), run.info.run_name): run.info.status for run in children}
    if "RUNNING" not in last.values():
        client.set_terminated(parent, "FINISHED" if set(last.values()) <= {"FINISHED"} else "FAILED")
