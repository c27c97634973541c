"""The command `serve`: download a version once, verify that very copy, and serve the copy."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hmu_tasks.config.params import load
from hmu_tasks.data.concepts.concepts import SHIPPED
from hmu_tasks.registry import door, verification
from hmu_tasks.registry.keys import TRUSTED_VARIABLE, trusted_file
from hmu_tasks.registry.verification import Verified
from hmu_tasks.registry.versions import Registry
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import read_json
from hmu_tasks.runtime.ports import require_free
from hmu_tasks.tracking.store import clear_errors


def verified_copy(root: Path, address: str) -> tuple[Verified, Registry, Path]:
    """Download a version into a folder of its own and verify it; the champion also against journal and alias.

    Raises HmuError where anything differs; void entries of the journal are told. The caller removes the folder.
    """
    registry, version = verification.find_version(root, address)
    with clear_errors(registry.uri):
        folder = Path(tempfile.mkdtemp(prefix="hmu-serve-"))  # for this user alone
    try:
        found = verification.verify(registry, version, folder)
        faults = found.faults
        if verification.names_champion(address, version):
            told, broken = verification.journal_faults(registry, found)
            for fault in told:
                sys.stderr.write(f"journal of {registry.name}: {fault}\n")
            faults += broken
        if faults:
            raise HmuError(f"version {version.number} of {registry.name} is not served: " + "; ".join(faults))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return found, registry, folder


def command(
    root: Path, address: str, *, host: str, port: int, device: str, refuse_concept: bool
) -> list[str]:
    """Verify a version and return the command that serves its copy."""
    require_free(host, port)
    found, registry, folder = verified_copy(root, address)
    about = {"model": registry.name, "version": found.version.number, "manifest": found.manifest}
    line = [sys.executable, "-P", str(door.__file__), "--copy", str(folder), "--about", json.dumps(about)]
    line += ["--host", host, "--port", str(port), "--device", device]
    try:
        return [*line, *(("--refuse", *_rule(root, folder)) if refuse_concept else ())]
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def run(line: Sequence[str], root: Path) -> None:
    """Become the server; what it imports is the copy's code."""
    environment = os.environ | {TRUSTED_VARIABLE: str(trusted_file(root).resolve())}
    os.execve(line[0], list(line), environment)  # noqa: S606 a program and arguments of ours


def _rule(root: Path, folder: Path) -> tuple[str, str, str, str]:
    """Concept, rule, dataset and file of concepts of a version, as it was registered with them."""
    stored = folder / "evidence"
    evidence = read_json(stored / "evidence.json")
    knobs = load(stored / "params.yaml").filter
    file = Path(knobs.concepts)
    if file in SHIPPED:
        return evidence["concept"], knobs.rule, evidence["dataset"], ""
    if not (root / file).is_file():
        raise HmuError(
            f"the concept {evidence['concept']!r} of this version is in {file} (filter.concepts), which is not here"
        )
    return evidence["concept"], knobs.rule, evidence["dataset"], str((root / file).resolve())
