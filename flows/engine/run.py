"""DVC's graph as Prefect task runs: one per stage, each submitted once it can start."""

import time
from queue import Empty, SimpleQueue
from typing import Any

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.tasks import Task

from flows.engine import artifacts
from flows.engine.curves import live_curves
from flows.engine.graph import Stage, changed_stages
from flows.engine.lockfile import lock_order, restore_lock_order
from flows.engine.process import Console, StageResult, run_stage
from flows.engine.scheduler import Scheduler
from flows.engine.slots import POLL_SECONDS, Slot
from flows.engine.walk import CACHED, LOST, Walk
from hmu_tasks.runtime.errors import HmuError


def _was_lost(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 Prefect's signature
    return state.name == LOST


@task(
    task_run_name="{name}",
    persist_result=False,
    cache_policy=NO_CACHE,
    # A stage that fails is not retried: the same inputs fail the same way. A machine that is lost is.
    retries=2,
    retry_delay_seconds=[2, 20],
    retry_condition_fn=_was_lost,
)
def stage(name: str, clean: bool, slot: Slot | None, walk: Walk) -> State[Any]:
    """Run one stage of DVC, or note that it is up to date.

    slot: of this machine; None for a stage that is clean or remote
    """
    if clean:
        return Completed(name=CACHED, message="up to date")
    one = walk.stages[name]
    last_lines: tuple[str, ...] = ()
    walk.view.start(name)
    try:
        if slot is None:
            assert walk.placement is not None, "a stage of this machine has a slot"
            walk.view.line(name, f"goes to a worker of the pool {one.resource}")
            state = walk.placement.run(one, walk)
        else:
            if walk.placement is not None:
                walk.placement.fetch_inputs(one, walk)
            started = time.monotonic()
            outcome = execute(one, walk, slot)
            state, last_lines = _state_of(name, outcome, time.monotonic() - started), outcome.last_lines
    except HmuError as error:
        state = Failed(message=str(error))
    if not walk.processes.stopped:
        failure = last_lines or tuple((state.message or "").splitlines())
        executed = state.name != CACHED
        walk.view.end(name, executed=executed, failure=None if state.is_completed() else failure)
    return state


def _state_of(name: str, outcome: StageResult, seconds: float) -> State[Any]:
    if outcome.status != 0:
        return Failed(message=f"stage {name} failed (exit status {outcome.status}):\n{outcome.reason}")
    if not outcome.executed:
        return Completed(name=CACHED, message="up to date, or restored from the cache")
    return Completed(message=f"ran for {seconds:.0f} s")


def execute(one: Stage, walk: Walk, slot: Slot, *, pull: bool = False) -> StageResult:
    """Run a stage on this machine: its lines go to the log, its bar and curves become artifacts, and so does a failure.

    pull: take the result from the DVC remote if any machine has made it already
    """
    logger = get_run_logger()
    bar = artifacts.Progress(one.name)

    def progress(label: str, percent: int) -> None:
        walk.view.progress(one.name, percent)
        artifacts.quiet(lambda: bar(label, percent), logger.warning)

    console = Console(log=logger.info, progress=progress, show=lambda line: walk.view.line(one.name, line))
    logger.info("%s on %s", one.name, slot.label)
    before = artifacts.contracts_made(walk.root)
    with live_curves(one, walk.root, warn=logger.warning):
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
        artifacts.quiet(lambda: artifacts.leave_broken_contracts(walk.root, before=before), logger.warning)
    return outcome


def run_graph(walk: Walk) -> dict[str, State[Any]]:
    """Run every stage that is out of date, in dependency order; return the state of each.

    Raises HmuError if `dvc status` fails.
    """
    logger = get_run_logger()
    stages = list(walk.stages.values())
    order_before = lock_order(walk.root)
    changed = set(walk.stages) if walk.force else changed_stages(walk.root, stages)
    logger.info("%d stages, %d out of date", len(stages), len(changed))
    walk.view.begin(
        [one for one in stages if one.name in changed], total=len(stages), jobs=max(1, walk.slots.most)
    )
    try:
        return _submit_all(walk, changed)
    except BaseException:
        # On cancellation the task threads are still reading from their stages; without this they would
        # hold the flow until the stages end by themselves.
        walk.processes.stop()
        raise
    finally:
        restore_lock_order(walk.root, order_before, stages)


def _submit_all(walk: Walk, changed: set[str]) -> dict[str, State[Any]]:
    """Submit each stage once it can start, and the dependents of failed ones, which Prefect then does not start."""
    futures: dict[str, PrefectFuture[Any]] = {}
    states: dict[str, State[Any]] = {}
    ended: SimpleQueue[str] = SimpleQueue()

    def needs_slot(one: Stage) -> bool:
        blocked = any(not states[need].is_completed() for need in one.needs)
        remote = walk.placement is not None and walk.placement.is_remote(one)
        return one.name in changed and not blocked and not remote

    scheduler = Scheduler(list(walk.stages.values()), walk.slots, needs_slot=needs_slot)
    try:
        while scheduler.is_active:
            for one, slot in scheduler.startable():
                # A task run takes its own name when it starts; until then the page shows that of the task.
                future = stage.with_options(name=one.name).submit(
                    one.name,
                    one.name not in changed,
                    slot,
                    walk,
                    wait_for=[futures[need] for need in one.needs],
                    return_state=False,
                )
                futures[one.name] = future
                future.add_done_callback(lambda _, name=one.name: ended.put(name))  # type: ignore[misc]
            try:
                name = ended.get(timeout=POLL_SECONDS if scheduler.awaits_seat else None)
            except Empty:
                continue
            futures[name].wait()
            states[name] = futures[name].state
            scheduler.finish(name)
    finally:
        scheduler.close()
    return {name: states[name] for name in walk.stages}


def summary(states: dict[str, State[Any]]) -> State[Any]:
    """Summarise the stages' results in one state."""
    failed = [name for name, state in states.items() if state.is_failed() or state.is_crashed()]
    skipped = [name for name, state in states.items() if state.is_pending()]
    if failed:
        message = f"{len(failed)} of {len(states)} stages failed: {', '.join(failed)}"
        return Failed(message=message + (f"; {len(skipped)} not started as a result" if skipped else ""))
    cached = sum(state.name == CACHED for state in states.values())
    return Completed(message=f"{len(states)} stages, {cached} of them up to date")
