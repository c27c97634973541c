"""Hand a stage to a worker as a flow run of its own, wait for it, and merge its lock entry."""

import time
from typing import Any, cast
from uuid import UUID

from prefect import State, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Completed, Failed

from flows.cluster.entries import merge_entries, take_entries
from flows.cluster.transfer import push
from flows.engine.graph import Stage
from flows.engine.lockfile import read_entries
from flows.engine.walk import LOST, Walk
from hmu_tasks.runtime.errors import HmuError

DEPLOYMENTS = {"cpu": "stage/run", "gpu": "stage/run-gpu"}
_POLL_SECONDS = 2.0
_PATIENCE_SECONDS = 60.0


def dispatch(one: Stage, walk: Walk, *, revision: str, scratch: str) -> State[Any]:
    """Run a stage on the pool of its resource.

    revision: the commit that the worker checks out
    scratch: name of the folder for training checkpoints
    Its inputs go to the DVC remote first; the worker gets names, parameters and lock entries, no data.
    Raises HmuError if the deployment or the remote is missing.
    """
    push(walk, [*one.needs, *one.data], label=f"inputs of {one.name}")
    deployment = DEPLOYMENTS[one.resource]
    settings = walk.root / "params.yaml"
    try:
        created = run_deployment(
            deployment,
            parameters={
                "name": one.name,
                "revision": revision,
                "params": settings.read_text(encoding="utf-8") if settings.exists() else "",
                "lock": read_entries(walk.root, [one.name, *one.needs]),
                "pipeline": walk.pipeline,
                "scratch": scratch,
                "force": walk.force,
            },
            flow_run_name=one.name,
            timeout=0,
            tags=["stage"],
        )
    except ObjectNotFound as error:
        raise HmuError(f"Prefect has no deployment {deployment!r}; register it with `make deploy`") from error
    flow_run = cast(FlowRun, created)  # not a coroutine: there is no event loop in a task's thread
    get_run_logger().info("%s goes to the pool %s as flow run %s", one.name, one.resource, flow_run.id)
    with get_client(sync_client=True) as client:
        state = _wait(client, flow_run.id, one, walk)
        if state.is_completed():
            merge_entries(walk.root, take_entries(client, flow_run.id))
            return Completed(name=state.name, message=state.message)
    if state.is_crashed():
        return Failed(name=LOST, message=f"the worker of {one.name} is gone: {state.message}")
    return Failed(message=state.message or f"stage {one.name} ended as {state.name}")


def _wait(client: SyncPrefectClient, flow_run: UUID, one: Stage, walk: Walk) -> State[Any]:
    """Wait for the end of a flow run; cancel it when the walk is stopped."""
    logger = get_run_logger()
    began = time.monotonic()
    warned = False
    while True:
        state = client.read_flow_run(flow_run).state
        assert state is not None
        if state.is_final():
            return state
        if walk.processes.stopped:
            client.set_flow_run_state(flow_run, Cancelling(message="the pipeline run was stopped"))
            return Failed(message="stopped")
        is_late = state.type == StateType.SCHEDULED and time.monotonic() - began > _PATIENCE_SECONDS
        if is_late and not warned:
            logger.warning(
                "no worker has taken %s yet; start one with `make worker POOL=%s`", one.name, one.resource
            )
            warned = True
        time.sleep(_POLL_SECONDS)
