"""`make repro`: a stage on every core through the flow, or plain `dvc repro` if that is the same.

`python -m flows.repro [--jobs N]`. The flow costs some seconds, so plain `dvc repro` does the work if no two stages can
run in parallel: with one job, or if what is out of date is a chain.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import psutil
import typer

from flows.engine.estimate import announcement
from flows.engine.graph import DVC, changed_stages, is_chain, read_stages
from flows.engine.lockfile import drop_unavailable
from flows.engine.process import HUGE_PAGES
from flows.engine.readiness import check_ready
from flows.server.environment import project_root
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.threads import threads

BYTES_PER_STAGE = 7 * 2**28
"""Memory that a stage at default size may need; a machine with less runs fewer stages at once."""
FOREIGN_LOCK = (
    "dvc.lock records outputs of {} stages that this machine does not have; they are restored from this machine's run "
    "cache or made here, and git then shows dvc.lock as changed (docs/laptop.md)"
)
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_LIMIT = Path("/sys/fs/cgroup/memory.max")


def default_jobs() -> int:
    """Return how many stages fit this machine: one per core and 1.75 GiB of memory that this process may use."""
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total
    if _QUOTA.exists():
        quota, period = _QUOTA.read_text(encoding="utf-8").split()
        if quota != "max":
            cores = min(cores, int(quota) // int(period))
    if _LIMIT.exists():
        limit = _LIMIT.read_text(encoding="utf-8").strip()
        if limit != "max":
            memory = min(memory, int(limit))
    return max(1, min(cores // threads(), memory // BYTES_PER_STAGE))


def main(
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Stages in parallel; default: one per core and 1.75 GiB of memory."),
    ] = None,
) -> None:
    """Bring everything up to date."""
    root = project_root()
    try:
        check_ready(root)
        most = jobs or default_jobs()
        stages = read_stages(root)
        if dropped := drop_unavailable(root):
            typer.echo(FOREIGN_LOCK.format(len(dropped)), err=True)
        changed = changed_stages(root, stages)
    except HmuError as error:
        sys.exit(f"error: {error}")
    if not changed:
        typer.echo("Data and pipelines are up to date.")
    elif most == 1 or is_chain(stages, changed):
        rest = [stage for stage in stages if stage.name in changed]
        typer.echo(announcement(rest, total=len(stages), jobs=1), err=True)
        os.execve(DVC[0], [*DVC, "repro"], HUGE_PAGES | os.environ)  # noqa: S606 there is no shell in between
    else:
        command = [sys.executable, "-m", "flows.pipeline", "--workers", str(most)]
        os.execve(command[0], command, os.environ)  # noqa: S606


if __name__ == "__main__":
    typer.run(main)
