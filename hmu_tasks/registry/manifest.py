"""The list of a version's files with their digests, which `verify` recomputes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hmu_tasks.runtime.bundle_files import check_parts
from hmu_tasks.runtime.errors import WeightsError

NAME = "manifest.json"
STATEMENT = "attestation.json"
"""The signed statement about that list."""
# The files that a bundle may hold; .txt is for the tokenizers of CLIP and MiniLM, and for MiniLM's licence.
BUNDLE_FILES = frozenset({".safetensors", ".json", ".txt"})


@dataclass(frozen=True)
class FileDifference:
    """Differences between files and their recorded list."""

    changed: tuple[str, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """One sentence per file."""
        return [
            *(f"{name} is not the file that was registered" for name in self.changed),
            *(f"{name} is missing" for name in self.missing),
            *(f"{name} was added after registration" for name in self.surplus),
        ]


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, the list and its statement left out: path relative to it -> digest."""
    found = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if name not in (NAME, STATEMENT):
            with file.open("rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def compare(listed: Mapping[str, str], found: Mapping[str, str]) -> FileDifference:
    """Compare recorded with recomputed digests, by file."""
    return FileDifference(
        changed=tuple(sorted(name for name in listed if name in found and found[name] != listed[name])),
        missing=tuple(sorted(name for name in listed if name not in found)),
        surplus=tuple(sorted(name for name in found if name not in listed)),
    )


def check_bundle_files(folder: Path) -> None:
    """Refuse a bundle that holds anything but safetensors, JSON and text, or no working model; raises WeightsError."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.suffix not in BUNDLE_FILES:
            raise WeightsError(
                f"{file} does not belong in a bundle; only {', '.join(sorted(BUNDLE_FILES))} files are registered"
            )
    check_parts(folder)
