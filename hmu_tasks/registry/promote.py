"""Step `promote`: move the champion to a version that passes the promoter's policy, and back.

Every move is signed and written into the registry's journal first, under the next number, which one process alone can
take; the aliases follow the journal.
"""

import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hmu_tasks.registry import policy as policies
from hmu_tasks.registry.evidence import Evidence
from hmu_tasks.registry.gate import Decision
from hmu_tasks.registry.identity import Person, account, person
from hmu_tasks.registry.keys import signing_key
from hmu_tasks.registry.moves import CANDIDATE, JournalState, Move
from hmu_tasks.registry.policy import Policy
from hmu_tasks.registry.verification import Verified, find_version, read_evidence, scratch, verify
from hmu_tasks.registry.versions import REASONS_TAG, Registry, Version, now
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import read_json
from hmu_tasks.tracking.store import DiskFullError, shared_store

__all__ = [
    "Proposal",
    "Verified",
    "find_version",
    "promote",
    "propose",
    "report_moves",
    "rollback",
    "user",
    "verify",
]
LONGEST_REASON = 1000  # characters; a move must fit into a parameter of MLflow


@dataclass(frozen=True)
class Proposal:
    """A possible promotion: the version, the gate's decision on it today, its card, and the journal's state.

    policy: that the decision was made by. deviations: where the version's own limits differ from it. notes: what else
    the promoter should know. registered_by: who registered it. manifest: SHA-256 of its list of files.
    """

    version: Version
    decision: Decision
    card: str
    state: JournalState
    policy: Policy
    deviations: tuple[str, ...]
    notes: tuple[str, ...]
    registered_by: Person | None
    manifest: str


def propose(registry: Registry, number: int | None = None) -> Proposal:
    """Prepare a promotion: the candidate or the named version, verified and judged by this checkout's policy.yaml.

    Raises HmuError where there is no candidate, the version was refused when it was registered, does not pass the
    policy, or its files are not those that were registered; or where an alias was moved by hand.
    """
    policy = policies.read_policy(registry.root)
    state, notes = _settled(registry)
    signing_key(registry.root)  # fails before anything is downloaded
    version = registry.with_alias(CANDIDATE) if number is None else registry.version(number)
    if version is None:
        raise HmuError(
            f"{registry.name} has no candidate; register a version that passes the gate, or name one"
        )
    where = f"version {version.number} of {registry.name}"
    if version.number == state.champion:
        raise HmuError(f"{where} is the champion already; name another version")
    if not version.passed:
        raise HmuError(
            f"{where} cannot be promoted: {version.tags.get(REASONS_TAG) or 'it has no gate decision'}"
        )
    with scratch(registry) as folder:
        checked = verify(registry, version, folder)
        if checked.faults:
            raise HmuError(
                f"{where} is not what was registered: {'; '.join(checked.faults)}; restore the artifact "
                "store, or register the edit again"
            )
        stored = folder / "evidence"
        evidence = Evidence.from_json(read_json(stored / "evidence.json"))
        differences = policies.deviations(read_json(stored / "limits.json"), policy)
        card = (stored / "card.md").read_text(encoding="utf-8")
    rival = read_evidence(registry, state.champion)
    decision = policy.judge(evidence, rival, reproduced=checked.reproduced)
    if not decision.passed:
        raise HmuError(
            f"{where} does not pass the gate by {policies.FILE}: {'; '.join(decision.reasons)}"
            + "".join(f"; {one}" for one in differences)
        )
    return Proposal(
        version, decision, card, state, policy, differences, notes, checked.registered_by, checked.manifest
    )


def promote(
    registry: Registry, proposal: Proposal, *, who: str | Person, why: str, approval: bool = False
) -> Move:
    """Make the proposed version the champion.

    approval: somebody else than who registered the version must approve, whatever the policy. Raises HmuError if
    another move happened meanwhile, or if the two must differ and do not.
    """
    acting = person(who) if isinstance(who, str) else who
    _require_two(registry, proposal, acting, approval=approval)
    by = proposal.registered_by
    move = _move(
        registry,
        "promote",
        proposal.state,
        proposal.version.number,
        acting,
        why,
        {"policy": proposal.policy.digest, "manifest": proposal.manifest, "registered_by": str(by or "")},
    )
    registry.tag(proposal.version.number, promoted=f"{move.when} by {move.who}: {move.why}")
    return move


def _require_two(registry: Registry, proposal: Proposal, acting: Person, *, approval: bool) -> None:
    """Refuse that the same person registers and approves, where the policy or an approval demands two."""
    rule = proposal.policy.content.two_people
    demanded = approval or rule == "always" or (rule == "shared" and shared_store(registry.uri))
    by = proposal.registered_by
    if demanded and (by is None or acting.same_as(by)):
        raise HmuError(
            f"version {proposal.version.number} of {registry.name} was registered by {by or 'nobody known'}; somebody "
            f"else must approve it, and {acting} may be the same person (two_people in {policies.FILE})"
        )


def rollback(registry: Registry, *, who: str | Person, why: str) -> Move:
    """Roll back to the champion before, whose files are verified first.

    Versions that are gone, refused, unreadable or changed are skipped, and said so. Where there is no room to read the
    files, the move is made without: whoever serves verifies them before use. Raises HmuError where no version is left.
    """
    acting = person(who) if isinstance(who, str) else who
    _require_reason(why)
    state, notes = _settled(registry, emergency=True)
    signing_key(registry.root)
    for note in notes:
        sys.stderr.write(f"{note}\n")
    if not state.earlier or (state.champion is None and not state.skipped):
        raise HmuError(f"{registry.name} has no previous champion to roll back to")
    end, details = _standing(registry, state.earlier)
    move = _move(registry, "rollback", state, end, acting, why, details)
    if state.champion is not None:
        registry.tag(state.champion, rolled_back=f"{move.when} by {move.who}: {move.why}")
    return move


def _standing(registry: Registry, earlier: Sequence[int]) -> tuple[int, dict[str, object]]:
    """The newest of the earlier champions whose files are those that were registered, and what the move says of it."""
    faults = []
    for number in earlier:
        try:
            with scratch(registry) as folder:
                checked = verify(registry, registry.version(number), folder)
        except DiskFullError as error:
            sys.stderr.write(f"the files of version {number} were not verified: {error}\n")
            return number, {"verified": False}
        except HmuError as error:
            faults.append(f"version {number} cannot be read: {error}")
            continue
        if not checked.faults:
            for fault in faults:
                sys.stderr.write(f"skipped: {fault}\n")
            return number, {"manifest": checked.manifest}
        faults.append(f"version {number} is not what was registered: {'; '.join(checked.faults)}")
    raise HmuError("; ".join(faults))


def _settled(registry: Registry, *, emergency: bool = False) -> tuple[JournalState, tuple[str, ...]]:
    """Finish an interrupted move, and return the journal's state with what is to be told of it.

    emergency: aliases that were moved by hand are told and put back, not refused.
    """
    journal = registry.journal()
    notes = [f"journal of {registry.name}: {fault}" for fault in journal.faults]
    if registry.settle(journal):
        notes.append(f"the last move of {registry.name} was interrupted; the aliases follow it now")
    state = registry.state(journal)
    notes += [
        f"version {number} was champion, and is deleted or refused; it is skipped" for number in state.skipped
    ]
    faults = registry.misplaced(state)
    if faults and not emergency:
        raise HmuError(
            f"the aliases of {registry.name} do not match its journal: {'; '.join((*faults, *journal.faults))}. An "
            "alias was moved by hand; `python -m hmu_tasks promote --repair` restores them from the journal"
        )
    return state, (*notes, *(f"alias moved by hand: {fault}" for fault in faults))


def _move(
    registry: Registry,
    kind: Literal["promote", "rollback"],
    state: JournalState,
    end: int,
    acting: Person,
    why: str,
    details: dict[str, object],
) -> Move:
    _require_reason(why)
    move = Move(
        number=state.moves + 1,
        kind=kind,
        start=state.champion,
        end=end,
        who=acting.name,
        when=now(),
        why=why.strip(),
        nonce=uuid.uuid4().hex,
        source=acting.vouched,
    )
    move = registry.append(replace(move, **details))  # type: ignore[arg-type]
    registry.follow()
    return move


def _require_reason(why: str) -> None:
    if not why.strip() or len(why) > LONGEST_REASON:
        raise HmuError(
            f"a move needs a name (who) and a reason (why) of at most {LONGEST_REASON} characters; give --who and --why"
        )


def user() -> Person:
    """The account recorded with a move: the MLflow server's user if there is one, otherwise this machine's."""
    return account()


def report_moves(registry: Registry) -> None:
    """Print the aliases with method and edit of their versions, every move, and what is wrong with the journal."""
    journal = registry.journal()
    if registry.settle(journal):
        sys.stdout.write("the last move was interrupted; the aliases follow it now\n")
    edits = {
        one.number: " ".join(filter(None, (one.tags.get("hmu.method"), one.tags.get("hmu.edit"))))
        for one in registry.versions()
    }
    for alias, number in sorted(registry.aliases().items()):
        named = f" ({edits[number]})" if edits.get(number) else ""
        sys.stdout.write(f"{alias}: version {number}{named}\n")
    if not journal.moves:
        sys.stdout.write(f"{registry.name}: nothing has been promoted yet\n")
    for move in journal.moves:
        start = "nothing" if move.start is None else f"version {move.start}"
        edit = "" if move.end is None else edits.get(move.end, "")
        named = f" ({edit})" if edit else ""
        source = f", {move.source}" if move.source else ""
        policy = f", policy {move.policy[:12]}" if move.policy else ""
        sys.stdout.write(
            f"{move.number}. {move.when} {move.kind} by {move.who}: {start} -> version {move.end}{named} ({move.why})"
            f"{source}{policy}{'' if move.verified else ', files not verified'}\n"
        )
    for fault in (*journal.faults, *registry.misplaced(registry.state(journal))):
        sys.stdout.write(f"WARNING: {fault}\n")
