"""The journal of moves of a registered model in MLflow, and the aliases that follow it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hmu_tasks.registry import moves
from hmu_tasks.registry.attestation import sha256
from hmu_tasks.registry.keys import signing_key, trusted
from hmu_tasks.registry.moves import CANDIDATE, CHAMPION, PREVIOUS, JournalState, Move, MoveJournal
from hmu_tasks.registry.stored import (
    BUNDLE_TAG,
    GATE_TAG,
    JOURNAL_TAG,
    JOURNALS,
    MANIFEST_TAG,
    REASONS_TAG,
    SETTLED_TAG,
    StoredModel,
    Version,
    model_name,
)
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking.store import clear_errors, new_client, probe, store_lock, tracking_uri

_ALL_RUNS = 3  # MLflow's ViewType.ALL: deleted ones, too
__all__ = [
    "BUNDLE_TAG",
    "GATE_TAG",
    "JOURNAL_TAG",
    "MANIFEST_TAG",
    "REASONS_TAG",
    "Registry",
    "Version",
    "model_name",
    "now",
    "one_at_a_time",
    "open_registry",
    "registered_names",
    "the_only_name",
]


@dataclass(frozen=True)
class Registry(StoredModel):
    """One registered model in one store, with the journal of its champions."""

    def journal(self) -> MoveJournal:
        """The journal: its valid moves, oldest first, and what is wrong with it.

        It is the run with the most signed moves of this model; the tag that names it is an index that anyone can set.
        """
        named = self._journal()
        entries = self._other_entries(named)
        try:
            entries[named] = self._entries(named)
        except HmuError:  # the tag may name what is no run
            if not entries:
                raise
            entries[named] = {}
        # Nobody needs a key to see that nothing has been moved.
        keys = trusted(self.root) if any(entries.values()) else []
        read = {
            run: moves.read(found, keys, registry=self.name, journal=run) for run, found in entries.items()
        }
        best = max(read, key=lambda run: (len(read[run].moves), run == named))
        others = [run for run, found in read.items() if run not in (best, named) and found.moves]
        faults = [f"run {run} holds signed moves, too" for run in others]
        if best != named:
            faults.append(
                f"run {best} holds the signed moves of {self.name}, but the tag {JOURNAL_TAG} names {named}: it was "
                "changed by hand; set it back"
            )
            faults += read[named].faults
        return replace(read[best], faults=(*read[best].faults, *faults))

    def moves(self) -> list[Move]:
        """Every valid move of the champion, oldest first."""
        return list(self.journal().moves)

    def state(self, journal: MoveJournal | None = None) -> JournalState:
        """What follows from the journal, versions that are gone or refused left out."""
        found = self.journal() if journal is None else journal
        usable = {version.number for version in self.versions() if version.passed}
        return moves.state(found.moves, last=found.last, usable=usable.__contains__)

    def append(self, move: Move) -> Move:
        """Sign a move and append it to the journal; raises HmuError if another process has taken its number."""
        from mlflow.exceptions import MlflowException

        signer = signing_key(self.root)
        run = self.journal().run
        entries = self._entries(run)
        before = entries.get(moves.key_of(move.number - 1))
        move = replace(move, registry=self.name, journal=run, before="" if before is None else sha256(before))
        with clear_errors(self.uri):
            try:
                self.client.log_param(run, move.key, move.signed(signer))
            except MlflowException as error:
                text = self._entries(run).get(move.key)
                if text is None:
                    raise
                found = moves.read(self._entries(run), trusted(self.root), registry=self.name, journal=run)
                taken = next((m for m in found.moves if m.number == move.number), None)
                if taken is None:
                    raise HmuError(
                        f"{move.key} was written by something that is not HMU and is void; nothing was changed here, "
                        "try again"
                    ) from error
                if taken.nonce != move.nonce:
                    raise HmuError(
                        f"{taken.who} was first: {taken.kind} of {self.name} to version {taken.end} at {taken.when} "
                        f"({taken.why}). Nothing was changed here; check that move and try again"
                    ) from error
        return move

    def misplaced(self, state: JournalState) -> list[str]:
        """One sentence per alias that does not match the journal."""
        held = self.aliases()
        return [
            f"{alias} is {_name(held.get(alias))} instead of {_name(number)}"
            for alias, number in _wanted(state).items()
            if held.get(alias) != number
        ]

    def settle(self, journal: MoveJournal) -> bool:
        """Finish a move that was interrupted before it had moved the aliases; returns whether there was one.

        The aliases are then those of the journal without its last move, or already in part those with it.
        """
        after = self.state(journal)
        if not journal.moves or not self.misplaced(after) or self._settled_at() >= journal.moves[-1].number:
            return False
        usable = {version.number for version in self.versions() if version.passed}
        before = moves.state(journal.moves[:-1], usable=usable.__contains__)
        held = self.aliases()
        expected = ({_wanted(one)[alias] for one in (before, after)} for alias in (CHAMPION, PREVIOUS))
        if any(
            held.get(alias) not in those for alias, those in zip((CHAMPION, PREVIOUS), expected, strict=True)
        ):
            return False
        self.follow()
        return True

    def follow(self) -> JournalState:
        """Set the aliases from the journal; repeated if it has grown meanwhile."""
        while True:
            before = self.state()
            for alias, number in _wanted(before).items():
                held = self.aliases().get(alias)
                if number is None and held is not None:
                    self.drop_alias(alias)
                elif number is not None and held != number:
                    self.set_alias(alias, number)
            if self.aliases().get(CANDIDATE) == before.champion and before.champion is not None:
                self.drop_alias(CANDIDATE)
            if self.journal().last == before.moves:
                if self._settled_at() != before.moves:
                    self._call("set_registered_model_tag", self.name, SETTLED_TAG, str(before.moves))
                return before

    def _settled_at(self) -> int:
        """Number of the last move that the aliases followed; 0 before the first, or where the tag is none of ours."""
        said = str(self._call("get_registered_model", self.name).tags.get(SETTLED_TAG, "0"))
        return int(said) if said.isascii() and said.isdecimal() else 0

    def _entries(self, run: str) -> dict[str, str]:
        found: dict[str, str] = self._call("get_run", run).data.params
        return found

    def _other_entries(self, named: str) -> dict[str, dict[str, str]]:
        """Entries of further runs that may be this model's journal: run -> its entries."""
        experiment = self._call("get_experiment_by_name", JOURNALS)
        if experiment is None:
            return {}
        found = self._call(
            "search_runs",
            [experiment.experiment_id],
            f"tags.`hmu.model` = '{self.name}'",
            run_view_type=_ALL_RUNS,
        )
        return {
            one.info.run_id: one.data.params for one in found if one.info.run_id != named and one.data.params
        }


def _wanted(state: JournalState) -> dict[str, int | None]:
    """Where the aliases belong: a champion that is gone has no one before it either, until the next move."""
    return {CHAMPION: state.champion, PREVIOUS: None if state.champion is None else state.previous}


def _name(number: int | None) -> str:
    return "not set" if number is None else f"version {number}"


def open_registry(root: Path, name: str) -> Registry:
    """Open the store that MLFLOW_TRACKING_URI names, or this checkout's own; HmuError where it cannot be reached."""
    uri = tracking_uri(root)
    probe(uri)
    with clear_errors(uri), store_lock(uri, root):
        return Registry(new_client(uri), uri, root, name)


def registered_names(root: Path) -> list[str]:
    """Names of the registered models of this project."""
    registry = open_registry(root, "")
    with clear_errors(registry.uri):
        return sorted(
            one.name for one in registry.client.search_registered_models() if JOURNAL_TAG in one.tags
        )


def the_only_name(root: Path, name: str | None) -> str:
    """Return the given name, or the only registered one; raises HmuError listing the names otherwise."""
    known = registered_names(root)
    if name is not None:
        if name not in known:
            raise HmuError(f"there is no registered model {name!r}; there are: {', '.join(known) or 'none'}")
        return name
    if len(known) != 1:
        raise HmuError(
            f"name one of the registered models: {', '.join(known)}"
            if known
            else "nothing has been registered yet; run `python -m hmu_tasks register`"
        )
    return known[0]


@contextmanager
def one_at_a_time(registry: Registry) -> Iterator[None]:
    """Lock against processes of this machine that upload the same bundle; other machines are not blocked."""
    with store_lock(registry.uri, registry.root, registry.name):
        yield


def now() -> str:
    """The time in ISO 8601 with its zone, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
