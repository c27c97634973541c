"""Step `promote`: move the champion to a version that passed the gate, and back; verify what is registered.

Every move is written into the registry's journal first, under the next number, which one process alone can take; the
aliases follow the journal.
"""

import getpass
import json
import os
import re
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hmu_tasks.models.networks import weights
from hmu_tasks.registry import manifest, moves
from hmu_tasks.registry.evidence import Evidence
from hmu_tasks.registry.gate import Decision, decide
from hmu_tasks.registry.limits import GateLimits
from hmu_tasks.registry.moves import CANDIDATE, JournalState, Move
from hmu_tasks.registry.versions import (
    BUNDLE_TAG,
    MANIFEST_TAG,
    REASONS_TAG,
    Registry,
    Version,
    now,
    open_registry,
    the_only_name,
)
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import read_json


@dataclass(frozen=True)
class Proposal:
    """A possible promotion: the version, the gate's decision on it today, its card, and the journal's state."""

    version: Version
    decision: Decision
    card: str
    state: JournalState


@dataclass(frozen=True)
class Verified:
    """Result of `verify`: one sentence per fault, and the number of files read."""

    version: Version
    faults: tuple[str, ...]
    files: int


def propose(registry: Registry, number: int | None = None) -> Proposal:
    """Prepare a promotion: the candidate or the named version, verified and checked against the current champion.

    Raises HmuError where there is no candidate, the gate refused the version (then or now), files are not those that
    were registered, or the aliases do not match the journal.
    """
    state = moves.state(registry.moves())
    _refuse_misplaced(registry, state)
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
    with tempfile.TemporaryDirectory() as scratch:
        checked = verify(registry, version, Path(scratch))
        if checked.faults:
            raise HmuError(
                f"{where} is not what was registered: {'; '.join(checked.faults)}; restore the artifact "
                "store, or register the edit again"
            )
        stored = Path(scratch) / "evidence"
        evidence = Evidence.from_json(read_json(stored / "evidence.json"))
        limits = _limits(stored)
        card = (stored / "card.md").read_text(encoding="utf-8")
    decision = decide(evidence, _evidence_of(registry, state.champion), limits)
    if not decision.passed:
        raise HmuError(f"{where} no longer passes the gate: {'; '.join(decision.reasons)}")
    return Proposal(version, decision, card, state)


def promote(registry: Registry, proposal: Proposal, *, who: str, why: str) -> Move:
    """Make the proposed version the champion; raises HmuError if another move happened meanwhile."""
    move = _move(registry, "promote", proposal.state, proposal.version.number, who, why)
    registry.tag(proposal.version.number, promoted=f"{move.when} by {move.who}: {move.why}")
    return move


def rollback(registry: Registry, *, who: str, why: str) -> Move:
    """Roll back to the previous champion, whose files are verified first.

    Raises HmuError where there is none before it, or where its files were changed.
    """
    state = moves.state(registry.moves())
    _refuse_misplaced(registry, state)
    if state.champion is None or state.previous is None:
        raise HmuError(f"{registry.name} has no previous champion to roll back to")
    with tempfile.TemporaryDirectory() as scratch:
        checked = verify(registry, registry.version(state.previous), Path(scratch))
    if checked.faults:
        raise HmuError(f"version {state.previous} is not what was registered: {'; '.join(checked.faults)}")
    move = _move(registry, "rollback", state, state.previous, who, why)
    registry.tag(state.champion, rolled_back=f"{move.when} by {move.who}: {move.why}")
    return move


def verify(registry: Registry, version: Version, folder: Path) -> Verified:
    """Download a version into `folder` and compare its files with its tags.

    The list of files must be the one that the tag names, every file must be the one in the list, and the bundle must
    have the digest of the tag and of the evaluated bundle.
    """
    registry.download(version, folder)
    faults: list[str] = []
    index = folder / manifest.NAME
    if not index.exists():
        return Verified(version, (f"{manifest.NAME} is missing",), 0)
    if weights.digest(index) != version.tags.get(MANIFEST_TAG):
        faults.append(f"{manifest.NAME} is not the file that was registered")
    found = manifest.digests(folder)
    try:
        listed = {str(name): str(digest) for name, digest in read_json(index).items()}
    except (ValueError, AttributeError):
        return Verified(version, (*faults, f"{manifest.NAME} cannot be read"), len(found))
    faults += manifest.compare(listed, found).lines
    faults += _bundle_faults(folder, str(version.tags.get(BUNDLE_TAG)))
    return Verified(version, tuple(dict.fromkeys(faults)), len(found))


def _bundle_faults(folder: Path, registered: str) -> list[str]:
    """Whether the promoted files are the evaluated ones, byte for byte."""
    bundle, evidence = folder / "model" / "artifacts" / "bundle", folder / "evidence" / "evidence.json"
    try:
        parts = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["components"]
        digest = weights.combine({name: weights.digest(bundle / name) for name in parts})
        evaluated = Evidence.from_json(read_json(evidence)).bundle
    except (OSError, ValueError, LookupError, TypeError, HmuError) as error:
        return [f"the bundle or its evidence cannot be read: {error}"]
    if digest == registered == evaluated:
        return []
    return [
        f"the bundle's digest is {digest[:16]}, registered was {registered[:16]}, evaluated {evaluated[:16]}"
    ]


def _limits(stored: Path) -> GateLimits:
    return GateLimits.from_json(read_json(stored / "limits.json"))


def _evidence_of(registry: Registry, number: int | None) -> Evidence | None:
    if number is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return Evidence.from_json(
            registry.read(registry.version(number), "evidence/evidence.json", Path(scratch))
        )


def _refuse_misplaced(registry: Registry, state: JournalState) -> None:
    faults = registry.misplaced(state)
    if faults:
        raise HmuError(
            f"the aliases of {registry.name} do not match its journal: {'; '.join(faults)}. Either another "
            "promotion is running, or one was interrupted, or an alias was moved by hand; "
            "`python -m hmu_tasks promote --repair` restores them from the journal"
        )


def _move(
    registry: Registry,
    kind: Literal["promote", "rollback"],
    state: JournalState,
    end: int,
    who: str,
    why: str,
) -> Move:
    if not who.strip() or not why.strip():
        raise HmuError("a move needs a name (who) and a reason (why); give --who and --why")
    move = Move(
        number=state.moves + 1,
        kind=kind,
        start=state.champion,
        end=end,
        who=who.strip(),
        when=now(),
        why=why.strip(),
        nonce=uuid.uuid4().hex,
    )
    registry.append(move)
    registry.follow()
    return move


def user() -> str:
    """The user recorded with a move: the MLflow server's if it has one, otherwise this machine's."""
    return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()


def find_version(root: Path, address: str) -> tuple[Registry, Version]:
    """Resolve `models:/<name>@<alias>` or `models:/<name>/<number>`; raises HmuError if there is no such version."""
    parts = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", address)
    if parts is None:
        raise HmuError(
            f"{address!r} is not the address of a version; write models:/<name>@<alias> or models:/<name>/<number>"
        )
    name, alias, number = parts.groups()
    registry = open_registry(root, the_only_name(root, name))
    version = registry.version(int(number)) if number else registry.with_alias(alias)
    if version is None:
        raise HmuError(f"{name} has no alias {alias!r}; there are: {', '.join(registry.aliases()) or 'none'}")
    return registry, version


def report_moves(registry: Registry) -> None:
    """Print the aliases with method and edit of their versions, and every move."""
    edits = {
        one.number: " ".join(filter(None, (one.tags.get("hmu.method"), one.tags.get("hmu.edit"))))
        for one in registry.versions()
    }
    for alias, number in sorted(registry.aliases().items()):
        named = f" ({edits[number]})" if edits.get(number) else ""
        sys.stdout.write(f"{alias}: version {number}{named}\n")
    if not registry.moves():
        sys.stdout.write(f"{registry.name}: nothing has been promoted yet\n")
    for move in registry.moves():
        start = "nothing" if move.start is None else f"version {move.start}"
        edit = "" if move.end is None else edits.get(move.end, "")
        named = f" ({edit})" if edit else ""
        sys.stdout.write(
            f"{move.number}. {move.when} {move.kind} by {move.who}: {start} -> version {move.end}{named} ({move.why})\n"
        )
