"""A registered model as MLflow keeps it: its versions by digest, their files, tags and aliases.

Several processes, on one machine or on many, may use it at the same time. What decides between them is what MLflow's
store does atomically: version numbers are given once, a registered model is created once, and a parameter of a run
is written once and never changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking.locations import artifact_root
from hmu_tasks.tracking.store import clear_errors, side_folder

BUNDLE_TAG = "hmu.bundle"
MANIFEST_TAG = "hmu.manifest"
GATE_TAG = "hmu.gate"
REASONS_TAG = "hmu.gate.reasons"
JOURNAL_TAG = "hmu.journal"
SETTLED_TAG = "hmu.settled"
"""Tag with the number of the last move that the aliases follow: a smaller one tells that a move was interrupted."""
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


_JOURNAL_NOTE = (
    "Every move of the champion is one parameter of this run, written once: who, when, why, from which version to "
    "which. Do not delete this run: promotions and rollbacks follow it."
)


@dataclass(frozen=True)
class StoredModel:
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
            made = self._unless_there(
                "create_experiment", JOURNALS, artifact_root(self.uri, side_folder(self.root))
            )
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
