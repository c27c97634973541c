"""The whole pipeline as a Prefect flow on one machine: DVC's graph, one task run per stage.

`python -m flows.pipeline` uses the server at PREFECT_API_URL, or a temporary one that ends with the flow.
After it `dvc repro` finds nothing to do.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from flows.environment import project_root  # before Prefect: sets the variables that it reads at import

# isort: split
import typer
from prefect import State, flow, get_client, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import get_run_context
from prefect.futures import PrefectFuture, wait
from prefect.settings import get_current_settings
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.graph import Stage, changed_stages, lock_order, read_stages, restore_lock_order, select
from flows.slots import Slots, visible_devices
from flows.stage import GUARD, Processes, run_stage
from hmu_tasks.errors import HmuError
from hmu_tasks.lineage import PIPELINE_VARIABLE

_MOST_STAGES = 1000
"""Threads are made as stages need them; slots, not threads, limit what runs at once."""


class Walk:
    """What the tasks of one flow run share."""

    def __init__(self, *, root: Path, slots: Slots, key: str, force: bool) -> None:
        self.root = root
        self.slots = slots
        self.processes = Processes()
        self.environment = {PIPELINE_VARIABLE: key}
        self.force = force


@task(task_run_name="{name}", persist_result=False, cache_policy=NO_CACHE)
def stage(name: str, resource: str, clean: bool, walk: Walk) -> State[Any]:
    """Run one stage of DVC, or note that it is up to date."""
    if clean:
        return Completed(name="Cached", message="up to date")
    logger = get_run_logger()
    with walk.slots.take(resource) as slot:
        logger.info("%s on %s", name, slot.label)
        started = time.monotonic()
        outcome = run_stage(
            name,
            root=walk.root,
            force=walk.force,
            environment=walk.environment | slot.environment,
            processes=walk.processes,
            log=logger.info,
        )
    if outcome.status != 0:
        # The whole output is in the log; the state shows the end of it, where the reason stands.
        reason = "\n".join(outcome.last_lines[-4:])
        return Failed(message=f"stage {name} failed (exit status {outcome.status}):\n{reason}")
    if not outcome.executed:
        return Completed(name="Cached", message="up to date, or restored from the cache")
    return Completed(message=f"ran for {time.monotonic() - started:.0f} s")


@flow(
    name="unlearning",
    description=__doc__,
    task_runner=ThreadPoolTaskRunner(max_workers=_MOST_STAGES),  # type: ignore[arg-type]
    persist_result=False,
    validate_parameters=True,
)
def unlearning(targets: list[str] | None = None, workers: int = 2, force: bool = False) -> State[Any]:
    """Bring the pipeline, or the given stages and all they need, up to date.

    targets: names of stages; a matrix's name stands for all its cells; None means everything
    workers: how many stages run at once on the CPU; stages marked `gpu` have one slot for each device
    force: run every stage, also those that are up to date
    """
    logger = get_run_logger()
    if workers < 1:
        return Failed(message=f"workers is {workers}; it must be at least 1")
    root = project_root()
    try:
        stages = select(read_stages(root), targets)
        order_before = lock_order(root)
        changed = {one.name for one in stages} if force else changed_stages(root, stages)
    except HmuError as error:
        return Failed(message=str(error))
    logger.info("%d stages, %d to look at, the others are up to date", len(stages), len(changed))
    key = f"prefect-{get_run_context().flow_run.id}"  # type: ignore[union-attr]
    walk = Walk(root=root, slots=Slots(workers, visible_devices()), key=key, force=force)
    futures: dict[str, PrefectFuture[Any]] = {}
    try:
        for one in stages:
            futures[one.name] = stage.submit(
                one.name,
                one.resource,
                one.name not in changed,
                walk,
                wait_for=[futures[need] for need in one.needs],
                return_state=False,
            )
        wait(list(futures.values()))
    finally:
        # On cancellation the task threads are still reading from their stages; without this they would
        # hold the flow until the stages end by themselves.
        walk.processes.stop()
        restore_lock_order(root, order_before, stages)
    states = {name: future.state for name, future in futures.items()}
    _leave_artifacts(root, stages, states)
    return _summary(states)


def _summary(states: dict[str, State[Any]]) -> State[Any]:
    failed = [name for name, state in states.items() if state.is_failed() or state.is_crashed()]
    skipped = [name for name, state in states.items() if state.is_pending()]
    cached = sum(state.name == "Cached" for state in states.values())
    if failed:
        message = f"{len(failed)} of {len(states)} stages failed: {', '.join(failed)}"
        return Failed(message=message + (f"; not started for that: {', '.join(skipped)}" if skipped else ""))
    return Completed(message=f"{len(states)} stages, {cached} of them up to date")


def _leave_artifacts(root: Path, stages: list[Stage], states: dict[str, State[Any]]) -> None:
    """Show the stages, the figures and the way to the report on the flow run's page."""
    rows = [
        {"stage": one.name, "state": states[one.name].name, "on": one.resource, "needs": ", ".join(one.needs)}
        for one in stages
    ]
    create_table_artifact(rows, key="stages", description="Stages of this run")
    reports = root / "reports"
    if (reports / "benchmark.json").exists():
        records = json.loads((reports / "benchmark.json").read_text(encoding="utf-8"))
        create_table_artifact(records, key="metrics", description="Figures of the last report")
    page = reports / "index.html"
    if page.exists():
        text = f"# Report\n\nOpen `{page}` in a browser; it needs no server and no network."
        create_markdown_artifact(text, key="report", description="Where the report lies")


def main(
    targets: Annotated[list[str] | None, typer.Argument(help="Stages; none means all.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Stages at once on the CPU.")] = 2,
    force: Annotated[bool, typer.Option("--force", help="Also run what is up to date.")] = False,
) -> None:
    """Run the pipeline, or some of its stages and all they need, through Prefect."""
    url = get_current_settings().api.url
    if not url:
        # The temporary server would outlive a flow process that is killed.
        subprocess.Popen([*GUARD, "--follow"], start_new_session=True, stdin=subprocess.DEVNULL)
    elif problem := get_client(sync_client=True).api_healthcheck():
        typer.echo(
            f"no Prefect server answers at {url} ({problem}); start it, or unset PREFECT_API_URL to use a "
            "temporary one",
            err=True,
        )
        sys.exit(1)
    try:
        state = unlearning(targets or None, workers=workers, force=force, return_state=True)
    except KeyboardInterrupt:
        typer.echo("stopped; what was finished stays usable, start again to go on", err=True)
        sys.exit(130)
    typer.echo(state.message, err=not state.is_completed())
    sys.exit(0 if state.is_completed() else 1)


if __name__ == "__main__":
    typer.run(main)
