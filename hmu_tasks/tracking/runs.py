"""Runs in the MLflow store: one per step, below the parent of its pipeline run."""

import json
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking.locations import EXPERIMENT, artifact_root, check_own
from hmu_tasks.tracking.notes import EXPERIMENT_TAGS, STEP_NOTES
from hmu_tasks.tracking.store import (
    clear_errors,
    new_client,
    probe,
    side_folder,
    store_lock,
    tracking_uri,
)

DATA_FOLDER = "data/clips"
DATA_TAG = "hmu.data"
"""Tag with the digest of the clips in dvc.lock; absent before they are ingested."""
Points = Sequence[tuple[str, int, float]]
"""Values of metrics: name, step, value."""
_COMMANDS = {"dvc": "dvc repro", "prefect": "python -m flows.pipeline", "step": "python -m hmu_tasks"}
"""What started a pipeline run, by the first word of its key."""


@dataclass(frozen=True)
class Opening:
    """What is known of a step when its run is opened.

    pipeline: key that the steps of one pipeline run share
    name: MLflow's list shows about fourteen letters of it, so what differs should come first
    params: knobs under dotted names
    origin: tags that also fit the parent run: machine, process, commit, data
    tags: further tags of the step's run
    start: seconds since 1970
    """

    pipeline: str
    step: str
    name: str
    params: Mapping[str, Any]
    origin: Mapping[str, str]
    tags: Mapping[str, str]
    start: float

    def all_tags(self) -> dict[str, str]:
        """Return the tags of the step's run; MLflow's own pages show those named `mlflow.…`."""
        shown = {"mlflow.source.name": self.step, "mlflow.note.content": STEP_NOTES.get(self.step, "")}
        return {**self.origin, "hmu.step": self.step, **{k: v for k, v in shown.items() if v}, **self.tags}


class Store:
    """The experiment `hmu` in the store that MLFLOW_TRACKING_URI names, or in this checkout's own.

    client: the MlflowClient
    """

    def __init__(self, root: Path) -> None:
        """Open it; raises HmuError where it cannot be reached."""
        self.root, self.uri = root, tracking_uri(root)
        probe(self.uri)
        with clear_errors(self.uri), store_lock(self.uri, root):
            self.client = new_client(self.uri)  # creates the tables of a fresh store
            self.experiment = _experiment(self.client, self.uri, root)
            self._close_dead_runs()

    def open_run(self, opening: Opening) -> "StoreRun":
        """Open a step's run, and its parent where it is the first."""
        with clear_errors(self.uri):
            with store_lock(self.uri, self.root):
                parent = self._parent_run(opening)
                tags = opening.all_tags() | {"mlflow.parentRunId": parent}
                created = self.client.create_run(
                    self.experiment, _milliseconds(opening.start), tags, opening.name
                )
                self.client.update_run(parent, status="RUNNING")
            run = StoreRun(self, str(created.info.run_id), parent, tags)
            run.params(opening.params)
            run.data(opening.origin.get(DATA_TAG))
            if not self.client.get_run(parent).inputs.dataset_inputs:
                StoreRun(self, parent, parent, {}).data(opening.origin.get(DATA_TAG))
        return run

    def find(self, tags: Mapping[str, str]) -> "StoreRun | None":
        """Find the newest run below a parent that has all of these tags."""
        query = " AND ".join(f"tags.\"{name}\" = '{_quoted(value)}'" for name, value in tags.items())
        with clear_errors(self.uri):
            found = self.client.search_runs(
                [self.experiment], query, max_results=1, order_by=["attributes.start_time DESC"]
            )
        for run in found:
            if "mlflow.parentRunId" in run.data.tags:
                own = run.data.tags
                return StoreRun(self, str(run.info.run_id), own["mlflow.parentRunId"], own)
        return None

    def settle(self, parent: str) -> None:
        """Give the parent the state of its children: the last run of each step counts; called under the lock.

        No process knows when the last stage of a pipeline run has ended, so the parent ends with each child and is
        opened again by the next.
        """
        children = self.client.search_runs(
            [self.experiment],
            f"tags.\"mlflow.parentRunId\" = '{parent}'",
            order_by=["attributes.start_time ASC"],
        )
        last = {
            run.data.tags.get("hmu.stage")
            or (run.data.tags.get("hmu.step"), run.info.run_name): run.info.status
            for run in children
        }
        if "RUNNING" not in last.values():
            status = "FINISHED" if set(last.values()) <= {"FINISHED"} else "FAILED"
            end = max((run.info.end_time or 0 for run in children), default=0)
            self.client.set_terminated(parent, status, end or None)

    def _parent_run(self, opening: Opening) -> str:
        """Find the parent run of this pipeline run, or open it; called under the lock."""
        key = _quoted(opening.pipeline)
        query = f"tags.\"hmu.pipeline\" = '{key}'"
        found = self.client.search_runs(
            [self.experiment], query, max_results=1, order_by=["attributes.start_time ASC"]
        )
        if found:
            return str(found[0].info.run_id)
        # MLflow's column shows about twenty letters.
        title = time.strftime("run %m-%d %H:%M:%S", time.localtime(opening.start))
        command = _COMMANDS.get(key.partition("-")[0], "dvc repro")
        note = f"One run of the pipeline, started by `{command}`; its steps are the runs below it."
        tags = {
            **opening.origin,
            "hmu.step": "pipeline",
            "hmu.pipeline": key,
            "mlflow.source.name": command,
            "mlflow.note.content": note,
        }
        created = self.client.create_run(self.experiment, _milliseconds(opening.start), tags, title)
        return str(created.info.run_id)

    def _close_dead_runs(self) -> None:
        """Mark as KILLED what a SIGKILL left RUNNING on this machine; called under the lock."""
        query = f"attributes.status = 'RUNNING' AND tags.\"hmu.host\" = '{_quoted(socket.gethostname())}'"
        parents = set()
        for run in self.client.search_runs([self.experiment], query):
            identity = run.data.tags.get("hmu.process", "")
            parent = run.data.tags.get("mlflow.parentRunId")
            if parent and lineage.process_identity(int(identity.split("-")[0] or 0)) != identity:
                self.client.set_terminated(run.info.run_id, "KILLED")
                parents.add(parent)
        for parent in parents:
            self.settle(parent)


class StoreRun:
    """A run of a step in the store."""

    def __init__(self, store: Store, run: str, parent: str, tags: Mapping[str, str]) -> None:
        """Take the identifiers of the run and of its parent, and the tags that the run has."""
        self.store, self.run_id, self.parent, self.tags = store, run, parent, tags
        self.client, self.uri = store.client, store.uri

    def complete(self, opening: Opening) -> None:
        """Add what was not known yet when the run was opened."""
        for name, value in opening.all_tags().items():
            if name not in self.tags:
                self.tag(name, value)
        self.params(opening.params)
        if DATA_TAG not in self.tags:
            self.data(opening.origin.get(DATA_TAG))

    def metrics(self, values: Mapping[str, float | None]) -> None:
        """Record final values; missing ones (None) are left out."""
        self.points([(name, 0, float(value)) for name, value in values.items() if value is not None])

    def points(self, points: Points) -> None:
        """Record values of any metrics at any steps, in few requests."""
        from mlflow.entities import Metric

        now = _milliseconds(time.time())
        batch = [Metric(metric_name(name), value, now, step) for name, step, value in points]
        with clear_errors(self.uri):
            for start in range(0, len(batch), 1000):  # MLflow's limit for one request
                self.client.log_batch(self.run_id, metrics=batch[start : start + 1000])

    def steps_of(self, name: str) -> set[int]:
        """Return the steps at which a metric has been recorded."""
        with clear_errors(self.uri):
            return {point.step for point in self.client.get_metric_history(self.run_id, metric_name(name))}

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters; those that are recorded already stay."""
        from mlflow.entities import Param

        with clear_errors(self.uri):
            known = self.client.get_run(self.run_id).data.params
            batch = [
                Param(name, text[:6000])
                for name, text in ((metric_name(key)[:250], _text(value)) for key, value in values.items())
                if name not in known
            ]
            for start in range(0, len(batch), 100):  # MLflow's limit for one request
                self.client.log_batch(self.run_id, params=batch[start : start + 100])

    def data(self, digest: str | None) -> None:
        """Name the clips with their digest in the column *Dataset*, once an ingest stage has written them."""
        from mlflow.entities import Dataset, DatasetInput

        if digest is not None:
            # MLflow keeps 36 letters of a digest, and a DVC folder's md5 has 32 and its suffix `.dir`.
            data = Dataset(DATA_FOLDER, digest[:36], "dvc", json.dumps({"path": DATA_FOLDER, "md5": digest}))
            with clear_errors(self.uri):
                self.client.log_inputs(self.run_id, [DatasetInput(data)])

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a copy of a file, or of a folder under its own name; `folder` puts it below that name.

        Raises HmuError when there is nothing at `path`.
        """
        if not path.exists():
            raise HmuError(f"{path} cannot be recorded in MLflow: it does not exist")
        with clear_errors(self.uri):
            if path.is_dir():
                inside = f"{folder}/{path.name}" if folder else path.name
                self.client.log_artifacts(self.run_id, str(path), artifact_path=inside)
            else:
                self.client.log_artifact(self.run_id, str(path), artifact_path=folder)

    def to_parent(self, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Record parameters and metrics in the parent run, too, so that runs of the pipeline can be compared."""
        parent = StoreRun(self.store, self.parent, self.parent, {})
        parent.params(params)
        parent.metrics(metrics)

    def tag(self, name: str, value: object) -> None:
        """Set one tag."""
        with clear_errors(self.uri):
            self.client.set_tag(self.run_id, name, str(value))

    def close(self, status: str, error: str = "", end: float | None = None) -> None:
        """End the run as FINISHED, FAILED or KILLED, and settle its parent; `error` says in a tag why."""
        if error:
            self.tag("hmu.error", error)
        with clear_errors(self.uri), store_lock(self.uri, self.store.root):
            self.client.set_terminated(self.run_id, status, _milliseconds(end or time.time()))
            self.store.settle(self.parent)


@contextmanager
def step_run(
    step: str,
    name: str,
    *,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    inputs: Iterable[Path] = (),
    root: Path,
) -> Iterator[StoreRun]:
    """Open a run for work that MLflow itself is part of, and close it: FINISHED, FAILED, KILLED on Ctrl-C.

    params, tags: knobs under dotted names, and tags beside the git commit and the digests
    inputs: outputs of stages, whose digests in dvc.lock are recorded
    root: folder of dvc.yaml
    Raises HmuError when the store cannot be reached; there is no fallback to another store.
    """
    lock = lineage.read_lock(root)
    data = lock.outputs().get(DATA_FOLDER)
    digests = {f"hmu.input.{path}": digest for path, digest in lock.current([*inputs]).items()}
    origin = lineage.origin(root) | ({DATA_TAG: data} if data else {})
    opening = Opening(lineage.pipeline_key(), step, name, params, origin, {**digests, **tags}, time.time())
    run = Store(root).open_run(opening)
    try:
        yield run
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        with suppress(HmuError):  # the step's own error is the one to show
            run.close(status, (str(error) or type(error).__name__)[:2000])
        raise
    run.close("FINISHED")


def metric_name(name: str) -> str:
    """Spell a metric's name with the characters that MLflow allows: `R@1` becomes `R_1`."""
    return "".join(sign if sign.isalnum() or sign in "_-./: " else "_" for sign in name)


def _experiment(client: Any, uri: str, root: Path) -> str:
    """Find or create the experiment; one that somebody deleted is restored, as its name stays taken."""
    location = artifact_root(uri, side_folder(root))
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        return str(client.create_experiment(EXPERIMENT, location, EXPERIMENT_TAGS))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for name in EXPERIMENT_TAGS.keys() - found.tags.keys():
        client.set_experiment_tag(found.experiment_id, name, EXPERIMENT_TAGS[name])
    if location is not None:
        check_own(found.artifact_location, location)
    return str(found.experiment_id)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _quoted(value: str) -> str:
    return value.replace("'", "_")


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
