"""Verification: a version's files against its signed statement, and the champion against journal, alias and policy."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hmu_tasks.models.networks import weights
from hmu_tasks.registry import manifest
from hmu_tasks.registry.attestation import Attested, SignatureError, opened
from hmu_tasks.registry.evidence import Evidence
from hmu_tasks.registry.identity import Person
from hmu_tasks.registry.keys import trusted
from hmu_tasks.registry.moves import CHAMPION, MoveJournal
from hmu_tasks.registry.policy import Policy
from hmu_tasks.registry.versions import (
    BUNDLE_TAG,
    GATE_TAG,
    MANIFEST_TAG,
    Registry,
    Version,
    open_registry,
    the_only_name,
)
from hmu_tasks.runtime.bundle_files import check_parts
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import read_json
from hmu_tasks.tracking.store import clear_errors


@dataclass(frozen=True)
class Verified:
    """Result of `verify`: one sentence per fault, the number of files read, and the signed statement if there is one.

    manifest: SHA-256 of the list of files.
    """

    version: Version
    faults: tuple[str, ...]
    files: int
    statement: Attested | None = None
    manifest: str = ""

    @property
    def reproduced(self) -> bool:
        """Whether DVC's record was checked when it was registered."""
        return self.statement is not None and self.statement.predicate.get("reproduced") is True

    @property
    def registered_by(self) -> Person | None:
        """Who registered the version; None where the statement does not say."""
        try:
            return Person(**(self.statement.predicate["by"] if self.statement else {}))
        except (LookupError, TypeError):
            return None


@contextmanager
def scratch(registry: Registry) -> Iterator[Path]:
    """A temporary folder; raises DiskFullError where there is no room for one."""
    with clear_errors(registry.uri):
        folder = TemporaryDirectory(ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


def verify(registry: Registry, version: Version, folder: Path) -> Verified:
    """Download a version into `folder` and compare its files with its signed statement.

    The statement must be signed by a trusted key, for this registered model and the list of files; every file must be
    the one in the list; the bundle must be the evaluated one; the tags must say the same.
    """
    registry.download(version, folder)
    return check_files(registry, version, folder)


def check_files(registry: Registry, version: Version, folder: Path) -> Verified:
    """Compare a downloaded version with its signed statement; see `verify`."""
    keys = trusted(registry.root)
    faults: list[str] = []
    index, signed = folder / manifest.NAME, folder / manifest.STATEMENT
    if not index.exists():
        return Verified(version, (f"{manifest.NAME} is missing",), 0)
    found = manifest.digests(folder)
    digest = hashlib.sha256(index.read_bytes()).hexdigest()
    statement = None
    try:
        statement = opened(signed.read_text(encoding="utf-8"), "registration", keys)
    except FileNotFoundError:
        faults.append("it is not signed; another release registered it, or its statement was removed")
    except UnicodeDecodeError:
        faults.append(f"{manifest.STATEMENT} is not signed")
    except SignatureError as error:
        faults.append(f"{manifest.STATEMENT} {error}")
    else:
        if statement.predicate.get("registry") != registry.name:
            faults.append(f"its statement is that of a version of {statement.predicate.get('registry')}")
        if statement.predicate.get("run") != version.run_id:
            faults.append("its statement is that of another registration")
        if statement.subject.get(manifest.NAME) != digest:
            faults.append(f"{manifest.NAME} is not the file that was registered")
        faults += _tag_faults(version, statement)
    if weights.digest(index) != version.tags.get(MANIFEST_TAG):
        faults.append(f"{manifest.NAME} is not the file that the tag {MANIFEST_TAG} names")
    try:
        listed = {str(name): str(one) for name, one in read_json(index).items()}
    except (ValueError, AttributeError):
        faults.append(f"{manifest.NAME} cannot be read")
        return Verified(version, tuple(faults), len(found), statement, digest)
    faults += manifest.compare(listed, found).lines
    faults += _bundle_faults(folder, str(version.tags.get(BUNDLE_TAG)))
    return Verified(version, tuple(dict.fromkeys(faults)), len(found), statement, digest)


def champion_faults(registry: Registry, found: Verified, folder: Path, policy: Policy) -> tuple[str, ...]:
    """Check a downloaded version as the champion: journal, alias, the move that made it so, and the gate.

    folder: where its files are. Returns one sentence per fault.
    """
    told, broken = journal_faults(registry, found)
    faults = [*told, *broken]
    try:
        evidence = Evidence.from_json(read_json(folder / "evidence" / "evidence.json"))
    except (OSError, ValueError, HmuError) as error:
        return (*faults, f"its evidence cannot be read: {error}")
    decision = policy.judge(evidence, None, reproduced=found.reproduced)
    if not decision.passed:
        faults.append(f"it does not pass the gate by this checkout's policy: {'; '.join(decision.reasons)}")
    return tuple(faults)


def journal_faults(registry: Registry, found: Verified) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare a version with the journal: what is void in the journal, and what contradicts that it is the champion.

    An interrupted move is finished first.
    """
    journal = registry.journal()
    registry.settle(journal)
    state = registry.state(journal)
    broken = registry.misplaced(state)
    number = found.version.number
    if state.champion != number:
        broken.append(f"by the journal the champion is {state.champion or 'nobody'}, not version {number}")
    else:
        broken += _move_faults(journal, found)
    return journal.faults, tuple(broken)


def _move_faults(journal: MoveJournal, found: Verified) -> list[str]:
    last = next((move for move in reversed(journal.moves) if move.end == found.version.number), None)
    if last is not None and last.manifest and last.manifest != found.manifest:
        return [f"it is not what {last.key} made the champion: its list of files differs"]
    return []


def _tag_faults(version: Version, statement: Attested) -> list[str]:
    said = statement.predicate
    pairs = {GATE_TAG: said.get("gate"), BUNDLE_TAG: said.get("bundle")}
    return [
        f"the tag {name} says {version.tags.get(name)!r:.40}, the signed statement {wanted!r:.40}"
        for name, wanted in pairs.items()
        if version.tags.get(name) != wanted
    ]


def _bundle_faults(folder: Path, registered: str) -> list[str]:
    """Whether the promoted files are the evaluated ones, byte for byte."""
    bundle, evidence = folder / "model" / "artifacts" / "bundle", folder / "evidence" / "evidence.json"
    try:
        parts = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["components"]
        digest = weights.combine({name: weights.digest(bundle / name) for name in parts})
        evaluated = Evidence.from_json(read_json(evidence)).bundle
        check_parts(bundle)
    except (OSError, ValueError, LookupError, TypeError, HmuError) as error:
        return [f"the bundle or its evidence cannot be read: {error}"]
    if digest == registered == evaluated:
        return []
    return [
        f"the bundle's digest is {digest[:16]}, registered was {registered[:16]}, evaluated {evaluated[:16]}"
    ]


def find_version(root: Path, address: str) -> tuple[Registry, Version]:
    """Resolve `models:/<name>@<alias>` or `models:/<name>/<number>`; raises HmuError if there is no such version."""
    parts = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([0-9]+))", address)
    if parts is None:
        raise HmuError(
            f"{address!r} is not the address of a version; write models:/<name>@<alias> or models:/<name>/<number>"
        )
    name, alias, number = parts.groups()
    registry = open_registry(root, the_only_name(root, name))
    version = registry.version(int(number)) if number else registry.with_alias(alias)
    if version is None:
        told = registry.journal().faults
        raise HmuError(
            f"{name} has no alias {alias!r}; there are: {', '.join(registry.aliases()) or 'none'}"
            + "".join(f"; {fault}" for fault in told)
        )
    return registry, version


def names_champion(address: str, version: Version) -> bool:
    """Whether an address means the champion."""
    return address.endswith(f"@{CHAMPION}") or CHAMPION in version.aliases


def signed_bundle(registry: Registry, version: Version) -> str:
    """Digest of a version's bundle by its signed statement; raises HmuError where there is none for this version."""
    with scratch(registry) as folder:
        text = registry.download(version, folder, manifest.STATEMENT).read_text(encoding="utf-8")
    where = f"version {version.number} of {registry.name}: {manifest.STATEMENT}"
    try:
        said = opened(text, "registration", trusted(registry.root)).predicate
    except SignatureError as error:
        raise HmuError(f"{where} {error}") from error
    if (said.get("registry"), said.get("run")) != (registry.name, version.run_id):
        raise HmuError(f"{where} is that of another registration")
    return str(said.get("bundle"))


def read_evidence(registry: Registry, number: int | None) -> Evidence | None:
    """Evidence of a version, for comparison; None where there is none. HmuError where it is not what was registered."""
    if number is None:
        return None
    version, place = registry.version(number), "evidence/evidence.json"
    with scratch(registry) as folder:
        signed, index, evidence = (
            registry.download(version, folder, name) for name in (manifest.STATEMENT, manifest.NAME, place)
        )
        try:
            statement = opened(signed.read_text(encoding="utf-8"), "registration", trusted(registry.root))
        except SignatureError as error:
            raise HmuError(f"version {number} of {registry.name}: {manifest.STATEMENT} {error}") from error
        listed = hashlib.sha256(index.read_bytes()).hexdigest() == statement.subject.get(manifest.NAME)
        if not listed or read_json(index).get(place) != hashlib.sha256(evidence.read_bytes()).hexdigest():
            raise HmuError(
                f"version {number} of {registry.name}: {place} is not the file that was registered; nothing can be "
                "compared with it: roll back, or restore the artifact store"
            )
        return Evidence.from_json(read_json(evidence))
