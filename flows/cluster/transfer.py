"""Data between machines: `dvc push` and `dvc pull`, retried while the remote cannot be reached."""

import os
from typing import Any

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows.engine.process import STOPPED, Console, run_dvc
from flows.engine.walk import Walk
from hmu_tasks.runtime.errors import HmuError

WAITS_VARIABLE = "HMU_REMOTE_WAITS"
DEFAULT_WAITS = "5,20,60,180,600"


class TransferError(HmuError):
    """The DVC remote could not be reached, or lacks what was asked for, after every retry."""


def waits() -> list[float]:
    """Seconds before each retry: HMU_REMOTE_WAITS, numbers separated by commas."""
    given = os.environ.get(WAITS_VARIABLE, DEFAULT_WAITS)
    try:
        return [float(part) for part in given.split(",") if part.strip()]
    except ValueError as error:
        raise HmuError(f"{WAITS_VARIABLE} is {given!r}; give seconds separated by commas") from error


@task(
    name="transfer",
    task_run_name="{label}",
    persist_result=False,
    cache_policy=NO_CACHE,
    retries=len(waits()),
    retry_delay_seconds=waits(),
    retry_condition_fn=lambda task, run, state: STOPPED not in (state.message or ""),  # noqa: ARG005
)
def transfer(label: str, arguments: list[str], walk: Walk) -> State[Any]:  # noqa: ARG001 names the task run
    """Run one `dvc push` or `dvc pull`."""
    logger = get_run_logger()
    outcome = run_dvc(
        arguments,
        root=walk.root,
        environment=walk.environment,
        processes=walk.processes,
        console=Console(log=logger.info),
    )
    if outcome.status == 0:
        return Completed(message="done")
    return Failed(message=f"`dvc {arguments[0]}` failed:\n{outcome.reason}")


def push(walk: Walk, targets: list[str], *, label: str, run_cache: bool = False) -> None:
    """Send the outputs of stages, or data of .dvc files, to the remote; what is there already is skipped.

    run_cache: also what tells other machines which inputs gave these outputs
    """
    _transfer(
        walk, ["push", *(["--run-cache"] if run_cache else []), *targets], targets, label=f"push {label}"
    )


def pull(walk: Walk, targets: list[str], *, label: str) -> None:
    """Bring the outputs of stages, or data of .dvc files, into the workspace."""
    _transfer(walk, ["pull", *targets], targets, label=f"pull for {label}")


def _transfer(walk: Walk, arguments: list[str], targets: list[str], *, label: str) -> None:
    if not targets:
        return
    state = transfer(label, arguments, walk, return_state=True)
    if not state.is_completed():
        raise unreached(label, state)


def unreached(label: str, state: State[Any]) -> TransferError:
    """Make the error of a remote that did not answer after all retries."""
    return TransferError(
        f"{label}: the DVC remote could not be used, {len(waits()) + 1} tries: {state.message}\n"
        "Nothing is lost: what was computed is in this machine's cache. When the remote answers again, start "
        "the same run once more; finished stages are not run again."
    )
