"""Promotion as a Prefect flow: the gate's values and the model card are shown, a person approves, the champion moves.

`python -m flows.promote` uses the server at PREFECT_API_URL, where the person answers: the flow run's page has a button
Resume with a form. Without a server `python -m hmu_tasks promote` does the same without asking.
"""

import sys
from typing import Annotated, Any

from flows.server.environment import project_root  # before Prefect: it sets what Prefect reads at import

# isort: split
import typer
from prefect import State, flow, get_run_logger, pause_flow_run
from prefect.input import RunInput
from prefect.settings import get_current_settings
from prefect.states import Completed, Failed
from pydantic import Field

from flows.engine import artifacts
from hmu_tasks.registry import promote as step
from hmu_tasks.registry.identity import approver
from hmu_tasks.registry.versions import Registry, open_registry, the_only_name
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.markdown import plain

DAY = 24 * 3600
_MEASURED = ("forgotten", "kept", "probe", "champion")
"""Clauses of the gate that compare a measured value with a limit; the others demand enough evidence."""

Version = Annotated[int, Field(ge=0)]
Days = Annotated[float, Field(gt=0)]


class Approval(RunInput):
    """What the person who approves fills in."""

    approve: bool = Field(
        default=False, description="On: this version becomes the champion. Off: it is declined, nothing moves"
    )
    name: str = Field(description="Your name, for the journal")
    reason: str = Field(description="Why, for the journal")


@flow(name="promotion", description=__doc__, persist_result=False, validate_parameters=True)
def promotion(model: str = "", version: Version = 0, days: Days = 7.0) -> State[Any]:
    """Make the candidate (or a named version) the champion, once somebody else than who registered it has approved.

    There is no parameter that leaves the approval out: whoever starts a deployment sets its parameters.

    Args:
        model: name of the registered model; may be left out if there is only one
        version: number of a version instead of the candidate; 0: the candidate
        days: how long to wait for the answer
    """
    logger = get_run_logger()
    try:
        registry, proposal, title = _proposed(model, version)
        logger.info("%s waits for approval: press Resume on this flow run's page", title)
        answer = pause_flow_run(
            wait_for_input=Approval.with_initial_data(description=_question(proposal, title)),
            timeout=int(days * DAY),
            poll_interval=3,
        )
        if not answer.approve:
            return Completed(
                name="Declined", message=f"{title} was declined by {answer.name}: {answer.reason}"
            )
        move = step.promote(registry, proposal, who=approver(answer.name), why=answer.reason, approval=True)
    except HmuError as error:
        return Failed(message=str(error))
    return Completed(message=f"{title} is the champion since {move.when}, approved by {move.who}")


@flow(name="promotion-at-once", persist_result=False, validate_parameters=True)
def promotion_at_once(model: str = "", version: Version = 0, who: str = "", why: str = "") -> State[Any]:
    """Make the candidate (or a named version) the champion without approval; not deployed, for the command line.

    Args:
        model: name of the registered model; may be left out if there is only one
        version: number of a version instead of the candidate; 0: the candidate
        who: your name, for the journal; empty: the account that runs this
        why: the reason, for the journal
    """
    try:
        registry, proposal, title = _proposed(model, version)
        move = step.promote(registry, proposal, who=who or step.user(), why=why)
    except HmuError as error:
        return Failed(message=str(error))
    return Completed(message=f"{title} is the champion since {move.when}, promoted by {move.who}")


def _proposed(model: str, version: int) -> tuple[Registry, step.Proposal, str]:
    registry = open_registry(project_root(), the_only_name(project_root(), model or None))
    proposal = step.propose(registry, version or None)
    title = f"{registry.name} version {proposal.version.number}"
    _show(proposal, title)
    return registry, proposal, title


@flow(name="rollback", persist_result=False, validate_parameters=True)
def rollback(why: str, model: str = "", who: str = "") -> State[Any]:
    """Roll back to the previous champion without approval.

    Args:
        why: the reason, for the journal
        model: name of the registered model; may be left out if there is only one
        who: your name, for the journal; empty: the MLflow server's user
    """
    try:
        registry = open_registry(project_root(), the_only_name(project_root(), model or None))
        move = step.rollback(registry, who=who or step.user(), why=why)
    except HmuError as error:
        return Failed(message=str(error))
    return Completed(message=f"{registry.name} is back at version {move.end}")


def _show(proposal: step.Proposal, title: str) -> None:
    """Leave the card and the gate's clauses on the flow run's page."""
    artifacts.leave_markdown(proposal.card, key="model-card", description=f"Model card of {title}")
    rows = [
        {"clause": clause.name, "passed": "yes" if clause.passed else "NO", "reason": clause.reason}
        for clause in proposal.decision.clauses
    ]
    artifacts.leave_table(rows, key="gate", description=f"The gate's clauses for {title}")


def _question(proposal: step.Proposal, title: str) -> str:
    before = proposal.state.champion
    champion = "There is no champion yet." if before is None else f"The champion is version {before}."
    measured = [clause for clause in proposal.decision.clauses if clause.name.startswith(_MEASURED)]
    lines = "\n".join(f"- {plain(clause.name)}: {plain(clause.reason)}" for clause in measured)
    told = "\n".join(f"- {plain(line)}" for line in (*proposal.deviations, *proposal.notes))
    registrant = plain(str(proposal.registered_by or "nobody known"))
    return (
        f"#### Promote {plain(title)}?\n\n{champion} It was registered by {registrant}; somebody else must approve it. "
        f"All {len(proposal.decision.clauses)} clauses of the gate passed by "
        f"policy.yaml ({proposal.policy.digest[:12]}). Its values:\n\n{lines}\n\n"
        + (f"To be noted:\n\n{told}\n\n" if told else "")
        + "All clauses and the model card are on this run's tab Artifacts (`gate`, "
        "`model-card`)."
    )


def main(
    model: Annotated[str, typer.Argument(help="The registered model; needed if there are several.")] = "",
    version: Annotated[int, typer.Option(min=0, help="A version instead of the candidate.")] = 0,
    ask: Annotated[bool, typer.Option(help="Wait for a person's approval on the flow run's page.")] = True,
    who: Annotated[str, typer.Option(help="Your name, if nobody is asked.")] = "",
    why: Annotated[str, typer.Option(help="The reason, if nobody is asked.")] = "",
    days: Annotated[float, typer.Option(min=0.0001, help="How long to wait for the answer.")] = 7.0,
    back: Annotated[bool, typer.Option("--rollback", help="Roll back to the previous champion.")] = False,
) -> None:
    """Promote through Prefect, or roll back."""
    if ask and not back and not get_current_settings().api.url:
        typer.echo(
            "approval needs a Prefect server with its page: set PREFECT_API_URL, or use --no-ask", err=True
        )
        sys.exit(1)
    if back:
        state = rollback(why, model, who, return_state=True)
    else:
        state = (
            promotion(model, version, days, return_state=True)
            if ask
            else promotion_at_once(model, version, who, why, return_state=True)
        )
    typer.echo(state.message, err=not state.is_completed())
    sys.exit(0 if state.is_completed() else 1)


if __name__ == "__main__":
    typer.run(main)
