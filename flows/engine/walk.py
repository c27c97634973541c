"""One walk over DVC's graph: every stage a task run, here or on the worker of a pool."""

import math
import time
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed, Failed
from prefect.tasks import Task

from flows.engine import artifacts
from flows.engine.curves import TrainingCurves
from flows.engine.form import Placement
from flows.engine.graph import Stage, changed_stages, critical_path
from flows.engine.lockfile import lock_order, restore_lock_order
from flows.engine.queue import ReadyQueue
from flows.engine.seats import Seats
from flows.engine.stage import Console, Outcome, Processes, run_stage
from flows.engine.terminal import View, failures
from hmu_tasks.runtime.console import BAR_VARIABLE
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking.lineage import PIPELINE_VARIABLE

CACHED = "Cached"
LOST = "Lost"
"""State of a stage whose worker is gone; it is tried again on another one."""


class Cluster(Protocol):
    """How stages reach other machines. The pipeline hands it in: the engine knows no pool and no remote."""

    def dispatch(self, one: Stage, walk: "Walk") -> State[Any]:
        """Run a stage on a worker and wait for it."""
        ...

    def pull(self, walk: "Walk", targets: list[str], *, label: str) -> None:
        """Bring the outputs of stages, or data of .dvc files, into the workspace."""
        ...


class Walk:
    """What the tasks of one flow run share. Not a dataclass: Prefect would copy its fields into every task run."""

    def __init__(
        self,
        *,
        root: Path,
        stages: list[Stage],
        seats: Seats,
        workers: int,
        pipeline: str,
        force: bool = False,
        placement: Placement = "here",
        revision: str = "",
        scratch: str = "",
        view: View | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        """Describe the walk.

        seats: places on the GPUs of this machine
        workers: stages at once on its CPU
        pipeline: key by which MLflow groups the steps
        revision, scratch: commit and name of the checkpoints' folder, for stages that run on workers
        view: what shows a person at a terminal how the stages go
        cluster: how stages reach other machines; needed for every placement but `here`
        """
        self.root = root
        self.stages = {stage.name: stage for stage in stages}
        self.seats = seats
        self.workers = workers
        self.pipeline = pipeline
        self.force = force
        self.placement = placement
        self.revision = revision
        self.scratch = scratch
        self.view = view or View()
        self.cluster = cluster
        self.processes = Processes()
        self.environment = {PIPELINE_VARIABLE: pipeline, BAR_VARIABLE: "1"}

    def goes_to_a_pool(self, stage: Stage) -> bool:
        """Say whether a stage becomes a flow run of its own on the pool of its resource."""
        return self.placement == "pools" or (self.placement == "gpu-pool" and stage.resource == "gpu")

    def place_of(self, stage: Stage, *, clean: bool) -> str:
        """Name the kind of place that a stage needs: none, one of the pools, a GPU or a CPU worker here."""
        if clean:
            return "none"
        if self.goes_to_a_pool(stage):
            return "pool"
        return "gpu" if stage.resource == "gpu" and len(self.seats) else "cpu"

    def places(self) -> dict[str, float]:
        """Count the places of each kind."""
        return {"none": math.inf, "pool": math.inf, "gpu": len(self.seats), "cpu": self.workers}


def _was_lost(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 Prefect's signature
    return state.name == LOST


@task(
    task_run_name="{name}",
    persist_result=False,
    cache_policy=NO_CACHE,
    # A stage that fails is not tried again: the same inputs fail the same way. A machine that is lost is.
    retries=2,
    retry_delay_seconds=[2, 20],
    retry_condition_fn=_was_lost,
)
def stage(name: str, clean: bool, walk: Walk) -> State[Any]:
    """Run one stage of DVC, or note that it is up to date."""
    if clean:
        return Completed(name=CACHED, message="up to date")
    one = walk.stages[name]
    last_lines: tuple[str, ...] = ()
    try:
        if walk.goes_to_a_pool(one):
            walk.view.start(name)
            walk.view.line(name, f"goes to a worker of the pool {one.resource}")
            assert walk.cluster is not None, walk.placement
            state = walk.cluster.dispatch(one, walk)
        else:
            if walk.placement != "here":
                assert walk.cluster is not None, walk.placement
                walk.cluster.pull(walk, [*one.needs, *one.data], label=name)
            started = time.monotonic()
            outcome = execute(one, walk)
            state, last_lines = _state_of(name, outcome, time.monotonic() - started), outcome.last_lines
    except HmuError as error:
        state = Failed(message=str(error))
    if not walk.processes.stopped:
        failure = last_lines or tuple((state.message or "").splitlines())
        good = state.is_completed()
        walk.view.end(name, executed=state.name != CACHED, failure=None if good else failure)
    return state


def _state_of(name: str, outcome: Outcome, seconds: float) -> State[Any]:
    if outcome.status != 0:
        return Failed(message=f"stage {name} failed (exit status {outcome.status}):\n{outcome.reason}")
    if not outcome.executed:
        return Completed(name=CACHED, message="up to date, or restored from the cache")
    return Completed(message=f"ran for {seconds:.0f} s")


def execute(one: Stage, walk: Walk, *, pull: bool = False) -> Outcome:
    """Run a stage on this machine: its lines go to the log, its bar becomes an artifact, a failure leaves another.

    pull: take the result from the DVC remote where some machine has made it already
    """
    logger = get_run_logger()
    bar, curves = artifacts.Progress(one.name), TrainingCurves(walk.root, one.name)

    def progress(label: str, percent: int) -> None:
        walk.view.progress(one.name, percent)
        artifacts.quiet(lambda: bar(label, percent), logger.warning)
        artifacts.quiet(curves, logger.warning)

    console = Console(log=logger.info, progress=progress, show=lambda line: walk.view.line(one.name, line))
    with walk.seats.take(one.resource, given_up=lambda: walk.processes.stopped) as slot:
        logger.info("%s on %s", one.name, slot.label)
        walk.view.start(one.name)
        since = time.time() - 1
        outcome = run_stage(
            one.name,
            root=walk.root,
            force=walk.force,
            environment=walk.environment | slot.environment,
            processes=walk.processes,
            console=console,
            pull=pull,
        )
    if outcome.status == 0:
        artifacts.quiet(bar.finish, logger.warning)
    elif (outcome.executed or not pull) and not walk.processes.stopped:
        artifacts.quiet(lambda: artifacts.leave_failure(one.name, outcome.last_lines), logger.warning)
        artifacts.quiet(lambda: artifacts.leave_broken_contracts(walk.root, since=since), logger.warning)
    return outcome


def walk_graph(walk: Walk) -> dict[str, State[Any]]:
    """Run every stage that is out of date, behind those that it needs; return the state of each.

    Raises HmuError where DVC cannot say what is out of date.
    """
    logger = get_run_logger()
    stages = list(walk.stages.values())
    order_before = lock_order(walk.root)
    changed = set(walk.stages) if walk.force else changed_stages(walk.root, stages)
    logger.info("%d stages, %d to look at, the others are up to date", len(stages), len(changed))
    walk.view.begin(len(changed))
    futures: dict[str, PrefectFuture[Any]] = {}
    try:
        _run_ready(walk, changed, futures)
    except BaseException:
        # On cancellation the task threads are still reading from their stages; without this they would hold the flow
        # until the stages end by themselves.
        walk.processes.stop()
        raise
    finally:
        restore_lock_order(walk.root, order_before, stages)
    return {name: futures[name].state for name in walk.stages}


def _note_end(ended: "SimpleQueue[str]", name: str, future: PrefectFuture[Any]) -> None:  # noqa: ARG001 Prefect's
    ended.put(name)


def _run_ready(walk: Walk, changed: set[str], futures: dict[str, PrefectFuture[Any]]) -> None:
    """Submit each stage once its inputs are there and a place is free, until nothing more can start."""
    stages = list(walk.stages.values())
    waiting, free = ReadyQueue(stages, critical_path(stages)), walk.places()
    kind = {one.name: walk.place_of(one, clean=one.name not in changed) for one in stages}
    ended: SimpleQueue[str] = SimpleQueue()
    running = 0

    def submit(one: Stage) -> PrefectFuture[Any]:
        # A task run takes its own name when it starts; until then the page shows that of the task.
        needs = [futures[need] for need in one.needs if need in futures]
        future = stage.with_options(name=one.name).submit(
            one.name, one.name not in changed, walk, wait_for=needs, return_state=False
        )
        futures[one.name] = future
        return future

    while True:
        for one in waiting.take(free, kind):
            running += 1
            submit(one).add_done_callback(partial(_note_end, ended, one.name))
        if not running:
            break
        name = ended.get()
        running -= 1
        free[kind[name]] += 1
        if futures[name].state.is_completed():
            waiting.done(name)
    # What stands behind a failure: Prefect marks it as not ready at once, so that its page shows every stage.
    wait([submit(one) for one in stages if one.name not in futures])


def summary(states: dict[str, State[Any]]) -> State[Any]:
    """Say in one state how the stages ended."""
    failed = [name for name, state in states.items() if state.is_failed() or state.is_crashed()]
    skipped = [name for name, state in states.items() if state.is_pending()]
    cached = sum(state.name == CACHED for state in states.values())
    if failed:
        return Failed(message=failures(len(states), failed, skipped))
    return Completed(message=f"{len(states)} stages, {cached} of them up to date")
