"""One stage on a worker: inputs from the DVC remote, outputs back to it, only the lock entry to the caller."""

from typing import Any

from flows.server.environment import project_root  # before Prefect: it sets what Prefect reads at import

# isort: split
from prefect import State, flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import get_run_context
from prefect.states import Completed, Failed

from flows.cluster.entries import leave_entries, merge_entries
from flows.cluster.transfer import pull, push, unreached, waits
from flows.cluster.workspace import worktree
from flows.engine.graph import read_stages, select
from flows.engine.lockfile import Entries, read_entries
from flows.engine.mirror import mirror
from flows.engine.run import execute
from flows.engine.slots import Slots, stages_per_device, visible_devices
from flows.engine.walk import CACHED, Walk
from hmu_tasks.runtime.errors import HmuError

UNREACHED = "Unreached"
"""State of a stage that did not start because DVC could not ask the remote for a result made elsewhere."""


@task(
    name="run",
    task_run_name="{name}",
    persist_result=False,
    cache_policy=NO_CACHE,
    retries=len(waits()),
    retry_delay_seconds=waits(),
    retry_condition_fn=lambda task, run, state: state.name == UNREACHED,  # noqa: ARG005
)
def compute(name: str, walk: Walk) -> State[Any]:
    """Run the stage in the run's worktree."""
    one = walk.stages[name]
    with walk.slots.hold(one.resource, stopped=lambda: walk.processes.stopped) as slot:
        outcome = execute(one, walk, slot, pull=True)
    if outcome.status != 0:
        started = outcome.executed or walk.processes.stopped
        message = f"stage {name} failed (exit status {outcome.status}):\n{outcome.reason}"
        return Failed(message=message) if started else Failed(name=UNREACHED, message=outcome.reason)
    if not outcome.executed:
        return Completed(name=CACHED, message="up to date, or restored from a cache")
    return Completed(message="ran")


@flow(name="stage", description=__doc__, persist_result=False, validate_parameters=True)
def run_one(
    name: str,
    revision: str = "HEAD",
    params: str = "",
    lock: Entries | None = None,
    pipeline: str = "",
    scratch: str = "",
    force: bool = False,
) -> State[Any]:
    """Run one stage of a revision in a worktree of this worker's checkout.

    name: the stage, as in dvc.yaml; a cell of a matrix with its `@…`
    revision: the commit whose code and dvc.yaml run
    params: content of params.yaml; empty for the one of the revision
    lock: entries of dvc.lock of the stage and of those that it needs; none for those of the revision
    pipeline: key by which MLflow groups the steps of one pipeline run
    scratch: name of the folder for training checkpoints; a stage that is tried again gets the same
    force: run the stage even if it is up to date
    """
    run_id = get_run_context().flow_run.id  # type: ignore[union-attr]
    try:
        with worktree(
            project_root(), revision, key=f"stage-{run_id}", scratch=scratch or "stages"
        ) as workspace:
            if params:
                (workspace.root / "params.yaml").write_text(params, encoding="utf-8")
            if lock is not None:
                (workspace.root / "dvc.lock").unlink(missing_ok=True)
                merge_entries(workspace.root, lock)
            walk = Walk(
                root=workspace.root,
                stages=select(read_stages(workspace.root), [name]),
                slots=Slots(1, visible_devices(), per_device=stages_per_device()),
                pipeline=pipeline or f"prefect-{run_id}",
                force=force,
            )
            if name not in walk.stages:
                raise HmuError(f"{name} is a group; name one of {', '.join(walk.stages)}")
            try:
                return _run(name, walk)
            finally:
                walk.processes.stop()
    except HmuError as error:
        return Failed(message=str(error))


def _run(name: str, walk: Walk) -> State[Any]:
    one = walk.stages[name]
    pull(walk, [*one.needs, *one.data], label=name)
    state = compute(name, walk, return_state=True)
    mirror(walk)  # the worktree goes with this run, and the files with it
    if state.name == UNREACHED:
        raise unreached(name, state)
    if not state.is_completed():
        return Failed(message=state.message)
    # The entry is handed over only when its outputs can be had: another machine may need them at once.
    push(walk, [name], label=name, run_cache=True)
    leave_entries(read_entries(walk.root, [name]))
    get_run_logger().info("%s is done; its outputs are in the DVC remote", name)
    return Completed(name=state.name, message=state.message)
