"""The registered model behind MLflow's client: versions by digest, aliases, and the journal of moves.

Several processes, on one machine or on many, may use it at the same time. What decides between them is what MLflow's
store does atomically: version numbers are given once, a registered model is created once, and a parameter of a run
is written once and never changed.
"""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmu_tasks.registry import moves
from hmu_tasks.registry.moves import CANDIDATE, CHAMPION, PREVIOUS, JournalState, Move
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking.store import clear_errors, new_client, probe, store_lock, tracking_uri

BUNDLE_TAG = "hmu.bundle"
MANIFEST_TAG = "hmu.manifest"
GATE_TAG = "hmu.gate"
REASONS_TAG = "hmu.gate.reasons"
JOURNAL_TAG = "hmu.journal"
JOURNALS = "hmu promotions"
"""Experiment that holds one run per registered model: its parameters are the moves."""


def model_name(model: str, dataset: str, concept: str) -> str:
    """Name of the registered model that all unlearned versions of one model share."""
    return f"hmu-{model}-{dataset}-{concept}"


@dataclass(frozen=True)
class Version:
    """A registered version: its number, the run that holds its files and evidence, its tags and aliases."""

    number: int
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the gate let it through."""
        return self.tags.get(GATE_TAG) == "passed"


@dataclass(frozen=True)
class Registry:
    """One registered model in one store."""

    client: Any
    uri: str
    root: Path
    name: str

    def exists(self) -> bool:
        """Whether any version was registered under this name."""
        return bool(self._call("search_registered_models", filter_string=f"name = '{self.name}'"))

    def create(self, description: str) -> None:
        """Create the registered model and its journal if missing; safe under concurrency."""
        if self.exists():
            return
        run = self._call(
            "create_run",
            self._journal_experiment(),
            run_name=f"moves of {self.name}",
            tags={"hmu.step": "promote", "hmu.model": self.name, "mlflow.note.content": _JOURNAL_NOTE},
        )
        self._call("set_terminated", run.info.run_id, "FINISHED")
        tags = {JOURNAL_TAG: run.info.run_id}
        if (
            self._unless_there("create_registered_model", self.name, tags=tags, description=description)
            is None
        ):
            self._call("delete_run", run.info.run_id)

    def versions(self) -> list[Version]:
        """All versions, oldest first."""
        aliases = self._call("get_registered_model", self.name).aliases
        found = []
        token = None
        while True:
            page = self._call(
                "search_model_versions", f"name = '{self.name}'", max_results=500, page_token=token
            )
            for one in page:
                held = tuple(
                    sorted(alias for alias, number in aliases.items() if int(number) == int(one.version))
                )
                found.append(Version(int(one.version), str(one.run_id), dict(one.tags), held))
            token = page.token
            if not token:
                return sorted(found, key=lambda version: version.number)

    def version(self, number: int) -> Version:
        """One version by its number; raises HmuError listing the numbers there are."""
        found = {version.number: version for version in self.versions()}
        if number not in found:
            known = ", ".join(map(str, found)) or "none"
            raise HmuError(f"{self.name} has no version {number}; there are: {known}")
        return found[number]

    def with_alias(self, alias: str) -> Version | None:
        """The version that an alias points to; None if it is not set."""
        return next((version for version in self.versions() if alias in version.aliases), None)

    def with_bundle(self, digest: str) -> Version | None:
        """The oldest version of a bundle; None where it was never registered."""
        return next((v for v in self.versions() if v.tags.get(BUNDLE_TAG) == digest), None)

    def add(
        self, run_id: str, digest: str, *, tags: Mapping[str, str], description: str
    ) -> tuple[Version, bool]:
        """Register a run's folder `model` as a version; also returns whether it is new.

        Several processes may add the same bundle at once: numbers are assigned one after another, so all of them see
        the lowest, which is kept. The others delete theirs.
        """
        made = self._call(
            "create_model_version",
            self.name,
            source=f"runs:/{run_id}/model",
            run_id=run_id,
            tags={**tags, BUNDLE_TAG: digest},
            description=description,
        )
        first = self.with_bundle(digest)
        assert first is not None
        if first.number == int(made.version):
            return first, True
        self._call("delete_model_version", self.name, made.version)
        return first, False

    def discard(self, run_id: str) -> None:
        """Delete a run whose bundle another process registered first."""
        self._call("delete_run", run_id)

    def tag(self, number: int, **tags: str) -> None:
        """Set tags of a version, all of them below `hmu.`."""
        for name, value in tags.items():
            self._call("set_model_version_tag", self.name, str(number), f"hmu.{name}", value)

    def set_alias(self, alias: str, number: int) -> None:
        """Point an alias at a version; raises HmuError for one that the gate refused."""
        version = self.version(number)
        if not version.passed:
            raise HmuError(
                f"version {number} of {self.name} cannot be {alias}: the gate refused it "
                f"({version.tags.get(REASONS_TAG) or 'it has no gate decision'})"
            )
        self._call("set_registered_model_alias", self.name, alias, str(number))

    def drop_alias(self, alias: str) -> None:
        """Remove an alias if it is set."""
        self._call("delete_registered_model_alias", self.name, alias)

    def aliases(self) -> dict[str, int]:
        """Alias -> version number."""
        found = self._call("get_registered_model", self.name).aliases
        return {alias: int(number) for alias, number in found.items()}

    def moves(self) -> list[Move]:
        """Every move of the champion, oldest first."""
        return moves.read(self._call("get_run", self._journal()).data.params)

    def append(self, move: Move) -> None:
        """Append a move to the journal; raises HmuError if another process has taken its number."""
        from mlflow.exceptions import MlflowException

        with clear_errors(self.uri):
            try:
                self.client.log_param(self._journal(), move.key, move.to_text())
            except MlflowException as error:
                taken = next((m for m in self.moves() if m.number == move.number), None)
                if taken is None:
                    raise
                if taken.nonce != move.nonce:
                    raise HmuError(
                        f"{taken.who} was first: {taken.kind} of {self.name} to version {taken.end} at {taken.when} "
                        f"({taken.why}). Nothing was changed here; check that move and try again"
                    ) from error

    def misplaced(self, state: JournalState) -> list[str]:
        """One sentence per alias that does not match the journal."""
        held = self.aliases()
        wanted = {CHAMPION: state.champion, PREVIOUS: state.previous}
        return [
            f"{alias} is {_name(held.get(alias))} instead of {_name(number)}"
            for alias, number in wanted.items()
            if held.get(alias) != number
        ]

    def follow(self) -> JournalState:
        """Set the aliases from the journal; repeated if it has grown meanwhile."""
        while True:
            before = moves.state(self.moves())
            for alias, number in ((CHAMPION, before.champion), (PREVIOUS, before.previous)):
                held = self.aliases().get(alias)
                if number is None and held is not None:
                    self.drop_alias(alias)
                elif number is not None and held != number:
                    self.set_alias(alias, number)
            if self.aliases().get(CANDIDATE) == before.champion and before.champion is not None:
                self.drop_alias(CANDIDATE)
            if len(self.moves()) == before.moves:
                return before

    def download(self, version: Version, target: Path, place: str = "") -> Path:
        """Copy the files of a version's run, or those below `place`, into `target`; returns where they are."""
        return Path(self._call("download_artifacts", version.run_id, place, str(target)))

    def read(self, version: Version, place: str, target: Path) -> Any:
        """Read one JSON file of a version's run, copied to the folder `target`."""
        return json.loads(self.download(version, target, place).read_text(encoding="utf-8"))

    def _journal(self) -> str:
        tags = self._call("get_registered_model", self.name).tags
        if JOURNAL_TAG not in tags:
            raise HmuError(
                f"{self.name} was not made by `python -m hmu_tasks register`: it has no journal of moves (tag "
                f"{JOURNAL_TAG}); register into another store, or remove the model from this one"
            )
        return str(tags[JOURNAL_TAG])

    def _journal_experiment(self) -> str:
        found = self._call("get_experiment_by_name", JOURNALS)
        if found is None:
            made = self._unless_there("create_experiment", JOURNALS)
            if made is not None:
                return str(made)
            found = self._call("get_experiment_by_name", JOURNALS)
        if found.lifecycle_stage == "deleted":
            self._call("restore_experiment", found.experiment_id)
        return str(found.experiment_id)

    def _unless_there(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a function that creates something with a unique name; None if it already exists."""
        from mlflow.exceptions import MlflowException

        with clear_errors(self.uri):
            try:
                return getattr(self.client, method)(*arguments, **keywords)
            except MlflowException as error:
                if error.error_code == "RESOURCE_ALREADY_EXISTS":
                    return None
                raise

    def _call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        with clear_errors(self.uri):
            return getattr(self.client, method)(*arguments, **keywords)


_JOURNAL_NOTE = (
    "Every move of the champion is one parameter of this run, written once: who, when, why, from which version to "
    "which. Do not delete this run: promotions and rollbacks follow it."
)


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


def host() -> str:
    """Name of this machine."""
    return socket.gethostname()
