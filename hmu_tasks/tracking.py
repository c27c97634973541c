"""Mirror of the files in MLflow: one run per step, below one parent per run of the pipeline.

The files are the truth; nothing is ever read back from here. The store is a SQLite file under
runs/side/mlflow unless MLFLOW_TRACKING_URI names another. MLflow is imported only when a run is opened.
"""

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hmu_tasks import lineage
from hmu_tasks.errors import HmuError
from hmu_tasks.mlflow_store import (
    clear_errors,
    new_client,
    probe,
    side_folder,
    store_lock,
    tracking_uri,
    without_password,
)
from hmu_tasks.mlflow_views import experiment_tags

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = "hmu"
DATA_FOLDER = "data/clips"
_SAMPLE_SECONDS = 30
_COMMANDS = {"dvc": "dvc repro", "prefect": "python -m flows.pipeline", "step": "python -m hmu_tasks"}
"""What started a pipeline run, by the first word of its key."""
_NOTES = {
    "train": "Training of one component. Curves: `train/…`; the column *variant* says full or retain (D_r).",
    "unlearn": "One method applied to one model; each edit's proof of what changed is an artifact.",
    "evaluate": "Figures `<split>/<metric>`; where the method has a strength, each is a curve over it.",
    "probe": "Success rates `<family>/<attack>` on the selected edit, and for comparison on the original and on D_r.",
    "register": "A version of the registered model: `model/` is what is served, `evidence/` what the gate read.",
}
"""What the page of a step's run says at its top."""


@dataclass(frozen=True)
class StepRun:
    """An open run of one step; every call is without effect when tracking is switched off.

    client: MlflowClient, or None when tracking is off
    run_id, parent_id: MLflow's identifiers, empty when tracking is off
    """

    client: Any = None
    run_id: str = ""
    parent_id: str = ""
    uri: str = ""

    def metrics(self, values: Mapping[str, float | None], step: int | None = None) -> None:
        """Record final values, or the values at one step; missing ones (None) are left out."""
        self._log_points([(name, step or 0, value) for name, value in values.items() if value is not None])

    def curve(self, name: str, points: "pd.DataFrame | Iterable[tuple[int, float]]") -> None:
        """Record a curve in few requests.

        points: pairs (step, value), or a table with the columns step and value. A table that also has a
            column `name` holds several curves; they become `<name>/<its name>`.
        """
        import pandas as pd

        if not isinstance(points, pd.DataFrame):
            self._log_points([(name, int(step), value) for step, value in points])
            return
        names = [f"{name}/{part}" for part in points["name"]] if "name" in points else [name] * len(points)
        self._log_points(list(zip(names, points["step"].astype(int), points["value"], strict=True)))

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a copy of a file, or of a folder under its own name; `folder` puts it below that name."""
        if self.client is None:
            return
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
        if self.client is not None:
            with clear_errors(self.uri):
                self.client.set_tag(self.run_id, name, str(value))

    def _log_points(self, points: Sequence[tuple[str, int, float]]) -> None:
        if self.client is None or not points:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(metric_name(name), float(value), now, step) for name, step, value in points]
        with clear_errors(self.uri):
            for start in range(0, len(batch), 1000):  # MLflow's limit for one request
                self.client.log_batch(self.run_id, metrics=batch[start : start + 1000])


def metric_name(name: str) -> str:
    """Spell a metric's name with the characters that MLflow allows: `R@1` becomes `R_1`."""
    return "".join(sign if sign.isalnum() or sign in "_-./: " else "_" for sign in name)


@contextmanager
def step_run(
    step: str,
    name: str,
    *,
    params: Mapping[str, Any],
    tags: Mapping[str, Any],
    root: Path,
    inputs: Iterable[Path] = (),
    enabled: bool = True,
) -> Iterator[StepRun]:
    """Open a run for one step and close it: FINISHED, FAILED when the body raises, KILLED on Ctrl-C.

    step, name: the step's word and what it works on, for example `train` and `tokenizer-full`. MLflow's list
        shows about fourteen letters of the name, so what differs should come first: `lcr k008-s0 momask`
    params: knobs of the step; nested mappings become dotted names
    tags: further tags; the git commit, the DVC stage and the digests of its inputs are added here
    root: folder of dvc.yaml
    inputs: paths whose digests in dvc.lock are recorded too
    Raises HmuError when the store cannot be reached; there is no fallback to another store.
    """
    if not enabled:
        yield StepRun()
        return
    uri = tracking_uri(root)
    probe(uri)
    with clear_errors(uri):
        with store_lock(uri, root):
            client = new_client(uri)  # creates the tables of a fresh store
            experiment = _experiment(client, uri, root)
            _close_dead_runs(client, experiment)
            parent = _parent_run(client, experiment, root)
            own_tags = _tags(step, root, inputs) | {key: str(value) for key, value in tags.items()}
            run_id = client.create_run(
                experiment, run_name=name, tags=own_tags | {"mlflow.parentRunId": parent}
            ).info.run_id
            client.update_run(parent, status="RUNNING")
        _log_params(client, run_id, params)
        _log_data(client, run_id, root)
    run = StepRun(client=client, run_id=run_id, parent_id=parent, uri=uri)
    try:
        with _machine_watched(run):
            yield run
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        with suppress(HmuError):  # the step's own error is the one to show
            run.tag("hmu.error", (str(error) or type(error).__name__)[:2000])
            _close(run, experiment, status, root)
        raise
    _close(run, experiment, "FINISHED", root)


@contextmanager
def _machine_watched(run: StepRun) -> Iterator[None]:
    """Record processor, memory, disk and network (and GPUs where pynvml is there) while a step runs.

    One sample per half minute, from a thread, and one at the end; MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false switches
    it off.
    """
    if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").lower() == "false":
        yield
        return
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run.run_id, sampling_interval=_SAMPLE_SECONDS, tracking_uri=run.uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
    with clear_errors(run.uri):
        # MLflow drops the last, unfinished half minute, and with it all of a short step.
        for part in monitor.monitors:
            part.clear_metrics()
        monitor.collect_metrics()
        monitor.publish_metrics(monitor.aggregate_metrics())
        monitor.mlflow_logger.flush()


def _close(run: StepRun, experiment: str, status: str, root: Path) -> None:
    with clear_errors(run.uri), store_lock(run.uri, root):
        run.client.set_terminated(run.run_id, status)
        _settle(run.client, experiment, run.parent_id)


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


def _parent_run(client: Any, experiment: str, root: Path) -> str:
    """Find the parent run of this pipeline run, or open it; called under the lock."""
    key = lineage.pipeline_key()
    quoted = key.replace("'", "_")
    query = f"tags.\"hmu.pipeline\" = '{quoted}'"
    found = client.search_runs([experiment], query, max_results=1, order_by=["attributes.start_time ASC"])
    if found:
        return str(found[0].info.run_id)
    title = time.strftime("run %m-%d %H:%M:%S")  # MLflow's column shows about twenty letters
    command = _COMMANDS.get(key.partition("-")[0], key)
    tags = _tags("pipeline", root, ()) | {"hmu.pipeline": quoted, "mlflow.source.name": command}
    tags["mlflow.note.content"] = (
        f"One run of the pipeline, started by `{command}`; its steps are the runs below it."
    )
    return str(client.create_run(experiment, run_name=title, tags=tags).info.run_id)


def _tags(step: str, root: Path, inputs: Iterable[Path]) -> dict[str, str]:
    """Lineage as tags; `mlflow.…` names are those that MLflow's own pages show."""
    stage = os.environ.get("DVC_STAGE") if step != "pipeline" else None
    commit = lineage.commit(root)
    data = lineage.output_digests(root).get(DATA_FOLDER)
    tags = {
        "hmu.step": step,
        "hmu.host": socket.gethostname(),
        "hmu.process": lineage.process_identity(os.getpid()) or "",
        "hmu.git.dirty": str(commit.dirty).lower(),
        "mlflow.source.name": step,  # the column Source shows some nine letters
        "mlflow.source.type": "LOCAL",
    }
    tags |= {"mlflow.note.content": _NOTES[step]} if step in _NOTES else {}
    tags |= {"mlflow.source.git.commit": commit.id} if commit.id else {}
    tags |= {"hmu.data": data} if data else {}
    tags |= {"hmu.stage": stage} if stage else {}
    digests = lineage.input_digests(root, stage, inputs)
    return tags | {f"hmu.input.{path}": digest for path, digest in digests.items()}


def _log_params(client: Any, run_id: str, params: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    batch = [Param(metric_name(key)[:250], text[:6000]) for key, text in _flat(params)]
    for start in range(0, len(batch), 100):  # MLflow's limit for one request
        client.log_batch(run_id, params=batch[start : start + 100])


def _log_data(client: Any, run_id: str, root: Path) -> None:
    """Name the clips with their digest in the column *Dataset*, once an ingest stage has written them."""
    from mlflow.entities import Dataset, DatasetInput

    digest = lineage.output_digests(root).get(DATA_FOLDER)
    if digest is not None:
        # MLflow keeps 36 letters of a digest, and a DVC folder's md5 has 32 and its suffix `.dir`.
        data = Dataset(DATA_FOLDER, digest[:36], "dvc", json.dumps({"path": DATA_FOLDER, "md5": digest}))
        client.log_inputs(run_id, [DatasetInput(data)])


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, default=str)


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
