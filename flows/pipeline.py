"""The whole pipeline as a Prefect flow: DVC's graph, one task run per stage.

`python -m flows.pipeline` works in this folder, with the server at PREFECT_API_URL or a temporary one that ends with
the flow; afterwards `dvc repro` finds nothing to do. Started from Prefect's page or on a schedule, the flow works in a
worktree of its own and ends as a DVC experiment or as a branch.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

from flows.server.environment import project_root  # before Prefect: it sets what Prefect reads at import

# isort: split
import typer
from prefect import State, flow, get_client, get_run_logger
from prefect.context import FlowRunContext, get_run_context
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.cluster import ending, workspace
from flows.cluster.overlay import set_params
from flows.cluster.pools import Pools
from flows.engine import artifacts, terminal
from flows.engine.graph import read_stages, select
from flows.engine.mirror import mirror
from flows.engine.readiness import check_ready
from flows.engine.run import run_graph, summary
from flows.engine.slots import Slots, stages_per_device, visible_devices
from flows.engine.walk import Walk
from flows.server import temporary
from flows.server.form import (
    AS_COMMITTED,
    Dataset,
    Finish,
    Method,
    Model,
    Placement,
    Preset,
    Seed,
    Workers,
    changes,
)
from hmu_tasks.runtime.errors import HmuError

_MOST_STAGES = 1000
"""Threads are made as stages need them; the scheduler, not threads, limits what runs in parallel."""


@flow(
    name="unlearning",
    description=__doc__,
    task_runner=ThreadPoolTaskRunner(max_workers=_MOST_STAGES),  # type: ignore[arg-type]
    persist_result=False,
    validate_parameters=True,
)
def unlearning(
    name: str = "",
    preset: Preset = AS_COMMITTED,
    concept: str = "",
    dataset: Dataset = AS_COMMITTED,
    models: list[Model] = [],  # noqa: B006 lists of names in the form; nobody changes them
    methods: list[Method] = [],  # noqa: B006
    seeds: list[Seed] = [],  # noqa: B006
    overrides: dict[str, Any] = {},  # noqa: B006
    targets: list[str] = [],  # noqa: B006
    revision: str = "HEAD",
    placement: Placement = "here",
    finish: Finish = "experiment",
    push: bool = False,
    workers: Workers = 2,
    force: bool = False,
) -> State[Any]:
    """Bring the pipeline, or the given stages and all they need, up to date.

    Empty fields keep the values of the revision's params.yaml.

    Args:
        name: of the experiment or branch; empty: the name of the flow run
        preset: a set of values that replace those of params.yaml
        concept: the concept to unlearn; empty: as in params.yaml
        dataset: the dataset that is read
        models: models that are trained, unlearned and evaluated; none: as in params.yaml
        methods: unlearning methods that are applied to each model; none: as in params.yaml
        seeds: one experiment per seed, one after another; none: as in params.yaml
        overrides: further keys of params.yaml, for example {"unlearn.lcr.noise": 0.2}
        targets: names of stages, with all that they need; a matrix's name stands for all its cells; none: all stages
        revision: branch, tag or commit whose code runs; HEAD is what the worker's checkout stands on
        placement: `here`: on the machine that runs the flow; `gpu-pool`: GPU stages on workers of the pool gpu;
            `pools`: every stage on a worker of its pool. The last two need a DVC remote that all machines reach
        finish: `experiment`: as a DVC experiment; `branch`: as a commit on a new branch; `workspace`: work in the
            checkout itself and leave the results there
        push: also send the experiment or branch to the git remote `origin`
        workers: stages in parallel on the CPU of this machine; each GPU has seats of its own
        force: run what is up to date, too
    """
    context = cast(FlowRunContext, get_run_context())
    assert context.flow_run is not None
    flow_run, title = context.flow_run, name or context.flow_run.name
    if len(seeds) > 1:
        return _run_each_seed(context.parameters or {}, title)
    try:
        chosen = changes(
            concept=concept,
            dataset=dataset,
            models=models,
            methods=methods,
            seeds=seeds,
            overrides=overrides,
        )
        checkout = project_root()
        with _workspace(
            checkout, finish, revision, flow_run.id, title, changed=preset != AS_COMMITTED or bool(chosen)
        ) as place:
            set_params(place.root, None if preset == AS_COMMITTED else preset, chosen)
            in_place = finish == "workspace"
            pools = None
            if placement != "here":
                scratch = "workspace" if in_place else title
                pools = Pools(placement, place, scratch=scratch, in_place=in_place)
            walk = Walk(
                root=place.root,
                stages=select(read_stages(place.root), targets or None),
                slots=Slots(workers, visible_devices(), per_device=stages_per_device()),
                pipeline=f"prefect-{flow_run.id}",
                force=force,
                placement=pools,
                view=terminal.watching.get(),
            )
            if not in_place:
                workspace.restore(place.root)
            end = _run(walk, pools)
            if in_place:
                ending.show_report(place.root)
                return end
            if not end.is_completed():
                return end
            return ending.leave(end, place, checkout, finish, title, push=push)
    except HmuError as error:
        return Failed(message=str(error))
    except KeyboardInterrupt:
        return Cancelled(message=terminal.STOPPED)


def _run_each_seed(parameters: dict[str, Any], title: str) -> State[Any]:
    """Run the flow once per seed, one after another, each as a flow run of its own."""
    seeds: list[int] = parameters["seeds"]
    failed = []
    for seed in seeds:
        name = f"{title}-seed{seed}"
        run = unlearning.with_options(flow_run_name=name)
        if not run(**(parameters | {"seeds": [seed], "name": name}), return_state=True).is_completed():
            failed.append(str(seed))
    if failed:
        return Failed(message=f"{len(failed)} of {len(seeds)} seeds failed: {', '.join(failed)}")
    return Completed(message=f"{len(seeds)} experiments, one for each seed")


@contextmanager
def _workspace(
    checkout: Path, finish: Finish, revision: str, flow_run: object, title: str, *, changed: bool
) -> Iterator[workspace.Workspace]:
    if finish == "workspace":
        if changed or revision != "HEAD":
            raise HmuError(
                "a run in the checkout itself takes its parameters from params.yaml and its code as it stands; "
                "choose another finish to give parameters or a revision"
            )
        yield workspace.Workspace(checkout, workspace.head(checkout))
        return
    if not workspace.head(checkout):
        raise HmuError(
            f"a run of its own is made of a commit, and {checkout} has none: clone the project, or make a repository "
            "of this copy with `git init && git add --all && git commit --message start`; `make repro` needs no git"
        )
    if workspace.is_dirty(checkout):
        get_run_logger().warning(
            "%s has uncommitted changes; this run is made of committed files only", checkout
        )
    with workspace.worktree(checkout, revision, key=f"run-{flow_run}", scratch=title) as place:
        yield place


def _run(walk: Walk, pools: Pools | None) -> State[Any]:
    """Run the graph, bring home what workers have made, write MLflow, and show the stages."""
    states = run_graph(walk)
    end = summary(states)
    if end.is_completed() and pools is not None:
        try:
            pools.collect(walk)
        except HmuError as error:
            end = Failed(message=str(error))
    mirror(walk)
    rows = [
        {
            "stage": one.name,
            "state": states[one.name].name,
            "on": one.resource,
            "needs": ", ".join(one.needs),
        }
        for one in walk.stages.values()
    ]
    artifacts.leave_table(rows, key="stages", description="Stages of this run")
    artifacts.leave_metrics(walk.root)
    return end


def main(
    targets: Annotated[list[str] | None, typer.Argument(help="Stages; none means all.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Stages in parallel on the CPU.")] = 2,
    placement: Annotated[str, typer.Option(help="here, gpu-pool or pools.")] = "here",
    force: Annotated[bool, typer.Option("--force", help="Also run what is up to date.")] = False,
) -> None:
    """Run the pipeline, or some of its stages and all they need, through Prefect."""
    try:
        check_ready(project_root())
    except HmuError as error:
        sys.exit(f"error: {error}")
    url = get_current_settings().api.url
    if not url:
        if placement != "here":
            typer.echo(
                "workers need a lasting server: start one with `make server` and set PREFECT_API_URL",
                err=True,
            )
            sys.exit(1)
        temporary.start()
        command = [sys.executable, "-m", "flows.pipeline", *sys.argv[1:]]
        os.execve(command[0], command, os.environ)  # noqa: S606 there is no shell in between
    try:
        temporary.await_server()
        if problem := get_client(sync_client=True).api_healthcheck():
            raise HmuError(
                f"no Prefect server answers at {url} ({problem}); start it, or unset PREFECT_API_URL to use a "
                "temporary one"
            )
        state = _in_the_foreground(targets or [], workers, placement, force=force)
    except HmuError as error:
        typer.echo(error, err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo(terminal.STOPPED, err=True)
        sys.exit(130)
    typer.echo(state.message, err=not state.is_completed())
    if state.is_cancelled():
        sys.exit(130)
    sys.exit(0 if state.is_completed() else 1)


def _in_the_foreground(targets: list[str], workers: int, placement: str, *, force: bool) -> State[Any]:
    """Run the flow on the checkout, with the terminal's view in place of Prefect's log."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)
    view = terminal.Terminal()
    terminal.watching.set(view)
    try:
        return unlearning(
            targets=targets,
            workers=workers,
            placement=cast(Placement, placement),
            force=force,
            finish="workspace",
            return_state=True,
        )
    finally:
        view.close()


def _is_news(record: logging.LogRecord) -> bool:
    """Keep warnings and errors, but none of how Prefect ends; the view shows what stages print and how they end."""
    known = (
        "Finished in state",
        "Crash detected! Execution was aborted by an interrupt",
        "Still processing items:",  # a slow server at the end: the line would follow the flow's own last one
    )
    return record.levelno >= logging.WARNING and not record.getMessage().startswith(known)


if __name__ == "__main__":
    typer.run(main)
