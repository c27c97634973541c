"""Digest of the project's own code, so that caches written by other code are not read."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def code_digest(*folders: str) -> str:
    """Return a digest (12 hex digits) of the Python files in `folders` of this package, sub-folders included."""
    found = hashlib.sha256()
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            found.update(f"{file.relative_to(ROOT).as_posix()}\n".encode())
            found.update(file.read_bytes())
    return found.hexdigest()[:12]
