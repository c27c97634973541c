"""Mirror of the files in MLflow: one run per step, below one parent per run of the pipeline.

The files are the truth; nothing is ever read back from here. The store is a SQLite file under
runs/side/mlflow unless MLFLOW_TRACKING_URI names another. A step writes to it itself, or has it written by the
recorder of its pipeline run (recorder.py), and imports MLflow only in the first case.
"""

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking import lineage

if TYPE_CHECKING:
    import pandas as pd

RECORDER_VARIABLE = "HMU_RECORDER"
"""Environment variable by which a flow tells its stages where its recorder listens."""
DATA_FOLDER = "data/clips"
DATA_TAG = "hmu.data"
"""Tag with the digest of the clips in dvc.lock; absent before they are ingested."""
Points = Sequence[tuple[str, int, float]]
"""Values of metrics: name, step, value."""
_NOTES = {
    "train": "Training of one component. Curves: `train/…`; the column *variant* says full or retain (D_r).",
    "unlearn": "One method applied to one model; each edit's proof of what changed is an artifact.",
    "evaluate": "Figures `<split>/<metric>`; where the method has a strength, each is a curve over it.",
    "probe": "Success rates `<family>/<attack>` on the selected edit, and for comparison on the original and on D_r.",
    "register": "A version of the registered model: `model/` is what is served, `evidence/` what the gate read.",
}
"""What the page of a step's run says at its top."""


@dataclass(frozen=True)
class Opening:
    """What is known of a step when its run is opened; plain values, so that it can be sent to the recorder.

    root: absolute folder of dvc.yaml
    pipeline: key that the steps of one pipeline run share
    params: knobs under dotted names
    origin: tags that also fit the parent run: machine, process, commit, data
    tags: all tags of the step's run
    """

    name: str
    root: str
    pipeline: str
    params: dict[str, str]
    origin: dict[str, str]
    tags: dict[str, str]


class StepRun:
    """An open run of one step. This class records nothing, which is what a step gets when tracking is off."""

    run_id = ""
    """MLflow's identifier."""

    def metrics(self, values: Mapping[str, float | None], step: int | None = None) -> None:
        """Record final values, or the values at one step; missing ones (None) are left out."""
        self.points([(name, step or 0, float(value)) for name, value in values.items() if value is not None])

    def curve(self, name: str, points: "pd.DataFrame | Iterable[tuple[int, float]]") -> None:
        """Record a curve in few requests.

        points: pairs (step, value), or a table with the columns step and value. A table that also has a
            column `name` holds several curves; they become `<name>/<its name>`.
        """
        import pandas as pd

        if not isinstance(points, pd.DataFrame):
            self.points([(name, int(step), float(value)) for step, value in points])
            return
        names = [f"{name}/{part}" for part in points["name"]] if "name" in points else [name] * len(points)
        steps, values = points["step"].astype(int).tolist(), points["value"].astype(float).tolist()
        self.points(list(zip(names, steps, values, strict=True)))

    def points(self, points: Points) -> None:
        """Record values of any metrics at any steps."""

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a copy of a file, or of a folder under its own name; `folder` puts it below that name.

        Raises HmuError when there is nothing at `path`.
        """

    def tag(self, name: str, value: object) -> None:
        """Set one tag."""

    def close(self, status: str, error: str = "") -> None:
        """End the run as FINISHED, FAILED or KILLED; `error` says in a tag why."""


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
        shows about fourteen letters of the name, so what differs should come first: `lcr strength008-s0 momask`
    params: knobs of the step; nested mappings become dotted names
    tags: further tags; the git commit, the DVC stage and the digests of its inputs are added here
    root: folder of dvc.yaml
    inputs: paths whose digests in dvc.lock are recorded too
    Raises HmuError when the store cannot be reached; there is no fallback to another store.
    """
    run = _open(_opening(step, name, params, tags, root, inputs)) if enabled else StepRun()
    try:
        yield run
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        with suppress(HmuError):  # the step's own error is the one to show
            run.close(status, (str(error) or type(error).__name__)[:2000])
        raise
    run.close("FINISHED")


def _open(opening: Opening) -> StepRun:
    address = os.environ.get(RECORDER_VARIABLE)
    if address:
        from hmu_tasks.tracking.recorder import RecordedRun, reach

        connection = reach(address)
        if connection is not None:
            return RecordedRun(connection, opening)
        # Nobody listens there any more; the store is the same and takes the same records from here.
    from hmu_tasks.tracking.runs import open_run

    return open_run(opening)


def _opening(
    step: str,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, Any],
    root: Path,
    inputs: Iterable[Path],
) -> Opening:
    """Gather what this process knows; `mlflow.…` tags are those that MLflow's own pages show."""
    stage = os.environ.get("DVC_STAGE")
    commit = lineage.commit(root)
    lock = lineage.read_lock(root)
    data = lock.outputs().get(DATA_FOLDER)
    origin = {
        "hmu.host": socket.gethostname(),
        "hmu.process": lineage.process_identity(os.getpid()) or "",
        "hmu.git.dirty": str(commit.dirty).lower(),
        "mlflow.source.type": "LOCAL",
    }
    origin |= {"mlflow.source.git.commit": commit.id} if commit.id else {}
    origin |= {DATA_TAG: data} if data else {}
    own = {"hmu.step": step, "mlflow.source.name": step}  # the column Source shows some nine letters
    own |= {"mlflow.note.content": _NOTES[step]} if step in _NOTES else {}
    own |= {"hmu.stage": stage} if stage else {}
    own |= {f"hmu.input.{path}": digest for path, digest in lock.inputs(root, stage, inputs).items()}
    return Opening(
        name=name,
        root=str(root.resolve()),
        pipeline=lineage.pipeline_key(),
        params=dict(_flat(params)),
        origin=origin,
        tags=origin | own | {key: str(value) for key, value in tags.items()},
    )


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, default=str)
