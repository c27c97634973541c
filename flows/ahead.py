"""The stages that everything else waits for, run while the temporary server starts."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.graph import Stage, behind
from flows.slots import Slots, visible_devices
from flows.stage import Console, Processes, run_stage
from flows.terminal import View
from hmu_tasks.runtime.console import BAR_VARIABLE


def leading(stages: Sequence[Stage], changed: set[str]) -> list[Stage]:
    """List the first changed stages, in order, of which each comes before all the others; none that wants a GPU.

    stages: the whole graph, every stage behind those that it needs
    """
    needed = behind(stages)
    order = [stage for stage in stages if stage.name in changed]
    found = []
    for at, stage in enumerate(order, start=1):
        if stage.resource == "gpu" or any(stage.name not in needed[later.name] for later in order[at:]):
            break
        found.append(stage)
    return found


def run_ahead(root: Path, chain: Sequence[Stage], view: View) -> int:
    """Run stages one after the other, as a flow would but without its records; say how many ended well.

    chain: in the order in which they need each other; the first that fails is the last to run. The view is told why.
    A stage that writes to MLflow would stand there as a pipeline run of its own; the first ones of dvc.yaml do not.
    """
    processes, slots = Processes(), Slots(1, visible_devices())

    def run(one: Stage) -> bool:
        console = Console(
            log=lambda _: None,
            progress=lambda _, percent: view.progress(one.name, percent),
            show=lambda line: view.line(one.name, line),
        )
        with slots.take(one.name, one.resource) as slot:
            view.start(one.name)
            outcome = run_stage(
                one.name,
                root=root,
                force=False,
                environment={BAR_VARIABLE: "1", **slot.environment},
                processes=processes,
                console=console,
            )
        good = outcome.status == 0
        if not processes.stopped:
            view.end(one.name, executed=outcome.executed, failure=None if good else outcome.last_lines)
        return good

    # Ctrl-C reaches this thread; the other one waits for its stage, which has to be ended for that.
    with ThreadPoolExecutor(1) as pool:
        try:
            for done, one in enumerate(chain):
                if not pool.submit(run, one).result():
                    return done
        except BaseException:
            processes.stop()
            raise
    return len(chain)
