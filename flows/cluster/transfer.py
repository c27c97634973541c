"""Data between machines: `dvc push` and `dvc pull`, tried again while the remote cannot be reached."""

import os
from typing import TYPE_CHECKING, Any

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows.engine.stage import STOPPED, Console, run_dvc
from hmu_tasks.runtime.errors import HmuError

if TYPE_CHECKING:
    from flows.engine.walk import Walk

WAITS_VARIABLE = "HMU_REMOTE_WAITS"
DEFAULT_WAITS = "5,20,60,180,600"


class TransferError(HmuError):
    """The DVC remote could not be reached, or lacks what was asked for, after every try."""


def waits() -> list[float]:
    """Seconds before each further try: HMU_REMOTE_WAITS, numbers with commas between them."""
    given = os.environ.get(WAITS_VARIABLE, DEFAULT_WAITS)
    try:
        return [float(part) for part in given.split(",") if part.strip()]
    except ValueError as error:
        raise HmuError(f"{WAITS_VARIABLE} is {given!r}; give seconds with commas between them") from error


@task(
    name="transfer",
    task_run_name="{label}",
    persist_result=False,
    cache_policy=NO_CACHE,
    retries=len(waits()),
    retry_delay_seconds=waits(),
    retry_condition_fn=lambda task, run, state: STOPPED not in (state.message or ""),  # noqa: ARG005
)
def transfer(label: str, arguments: list[str], walk: "Walk") -> State[Any]:  # noqa: ARG001 names the task run
    """Run one `dvc push`, `pull` or `fetch`."""
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


def push(walk: "Walk", targets: list[str], *, label: str, run_cache: bool = False) -> None:
    """Send the outputs of stages, or data of .dvc files, to the remote; what is there already costs one look.

    run_cache: also what tells other machines which inputs gave these outputs
    """
    _transfer(
        walk, ["push", *(["--run-cache"] if run_cache else []), *targets], targets, label=f"push {label}"
    )


def pull(walk: "Walk", targets: list[str], *, label: str) -> None:
    """Bring the outputs of stages, or data of .dvc files, into the workspace."""
    _transfer(walk, ["pull", *targets], targets, label=f"pull for {label}")


def fetch(walk: "Walk", targets: list[str], *, label: str) -> None:
    """Bring the outputs of stages into the cache."""
    _transfer(walk, ["fetch", *targets], targets, label=f"fetch {label}")


def _transfer(walk: "Walk", arguments: list[str], targets: list[str], *, label: str) -> None:
    if not targets:
        return
    state = transfer(label, arguments, walk, return_state=True)
    if not state.is_completed():
        raise unreached(label, state)


def unreached(label: str, state: State[Any]) -> TransferError:
    """Make the error of a remote that did not answer in all the tries."""
    return TransferError(
        f"{label}: the DVC remote could not be used, {len(waits()) + 1} tries: {state.message}\n"
        "Nothing is lost: what was computed is in this machine's cache. When the remote answers again, start "
        "the same run once more; finished stages are not run again."
    )


def share_results(walk: "Walk") -> None:
    """Send what this machine has made to the DVC remote; nothing to do where no worker takes part."""
    if walk.placement != "here":
        push(
            walk, [name for name, one in walk.stages.items() if not walk.goes_to_a_pool(one)], label="results"
        )
