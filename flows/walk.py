"""One walk over DVC's graph: every stage a task run, here or on the worker of a pool."""

import threading
import time
from pathlib import Path
from typing import Any

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed, Failed
from prefect.tasks import Task

from flows import artifacts, transfer
from flows.dispatch import LOST, dispatch
from flows.form import Placement
from flows.graph import Stage, changed_stages, longest_ways
from flows.lockfile import lock_order, restore_lock_order
from flows.slots import Slots
from flows.stage import Console, Outcome, Processes, run_stage
from flows.terminal import View, failures
from hmu_tasks.runtime.console import BAR_VARIABLE
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking.lineage import PIPELINE_VARIABLE

CACHED = "Cached"


class Walk:
    """What the tasks of one flow run share. Not a dataclass: Prefect would copy its fields into every task run."""

    def __init__(
        self,
        *,
        root: Path,
        stages: list[Stage],
        slots: Slots,
        pipeline: str,
        force: bool = False,
        placement: Placement = "here",
        revision: str = "",
        scratch: str = "",
        view: View | None = None,
    ) -> None:
        """Describe the walk.

        pipeline: key by which MLflow groups the steps
        revision, scratch: commit and name of the checkpoints' folder, for stages that run on workers
        view: what shows a person at a terminal how the stages go
        """
        self.root = root
        self.stages = {stage.name: stage for stage in stages}
        self.ways = longest_ways(stages)
        self.slots = slots
        self.pipeline = pipeline
        self.force = force
        self.placement = placement
        self.revision = revision
        self.scratch = scratch
        self.view = view or View()
        self.processes = Processes()
        self.environment = {PIPELINE_VARIABLE: pipeline, BAR_VARIABLE: "1"}
        self._through: set[str] = set()
        self._ready: set[str] = set()
        self._lock = threading.Lock()

    def goes_to_a_pool(self, stage: Stage) -> bool:
        """Say whether a stage becomes a flow run of its own on the pool of its resource."""
        return self.placement == "pools" or (self.placement == "gpu-pool" and stage.resource == "gpu")

    def is_through(self, *names: str) -> None:
        """Note stages that are done, and keep places on this machine for those that can start now."""
        with self._lock:
            self._through.update(names)
            ready = [
                one
                for one in self.stages.values()
                if one.name not in self._through | self._ready and self._through.issuperset(one.needs)
            ]
            self._ready.update(one.name for one in ready)
        self.slots.expect(
            (one.name, one.resource, self.ways[one.name]) for one in ready if not self.goes_to_a_pool(one)
        )


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
            state = dispatch(one, walk)
            if state.is_completed():
                walk.is_through(name)
        else:
            if walk.placement != "here":
                transfer.pull(walk, [*one.needs, *one.data], label=name)
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
    bar = artifacts.Progress(one.name)

    def progress(label: str, percent: int) -> None:
        walk.view.progress(one.name, percent)
        artifacts.quiet(lambda: bar(label, percent), logger.warning)

    console = Console(log=logger.info, progress=progress, show=lambda line: walk.view.line(one.name, line))
    with walk.slots.take(
        one.name, one.resource, way=walk.ways[one.name], given_up=lambda: walk.processes.stopped
    ) as slot:
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
            walk.is_through(one.name)  # before the slot is free, so that it is kept for what can start now
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
    walk.is_through(*(name for name in walk.stages if name not in changed))
    futures: dict[str, PrefectFuture[Any]] = {}
    try:
        for one in stages:
            # A task run takes its own name when it starts; until then the page shows that of the task.
            futures[one.name] = stage.with_options(name=one.name).submit(
                one.name,
                one.name not in changed,
                walk,
                wait_for=[futures[need] for need in one.needs],
                return_state=False,
            )
        wait(list(futures.values()))
    except BaseException:
        # On cancellation the task threads are still reading from their stages; without this they would
        # hold the flow until the stages end by themselves.
        walk.processes.stop()
        raise
    finally:
        restore_lock_order(walk.root, order_before, stages)
    return {name: future.state for name, future in futures.items()}


def share_results(walk: Walk) -> None:
    """Send what this machine has made to the DVC remote; nothing to do where no worker takes part."""
    if walk.placement != "here":
        transfer.push(
            walk, [name for name, one in walk.stages.items() if not walk.goes_to_a_pool(one)], label="results"
        )


def summary(states: dict[str, State[Any]], *, before: int = 0) -> State[Any]:
    """Say in one state how the stages ended; `before`: how many ran already, so that the flow found them up to date."""
    failed = [name for name, state in states.items() if state.is_failed() or state.is_crashed()]
    skipped = [name for name, state in states.items() if state.is_pending()]
    cached = sum(state.name == CACHED for state in states.values()) - before
    if failed:
        return Failed(message=failures(len(states), failed, skipped))
    return Completed(message=f"{len(states)} stages, {cached} of them up to date")
