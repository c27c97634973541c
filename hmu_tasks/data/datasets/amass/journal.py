"""What has been converted already, so that a killed or repeated conversion goes on where it stopped."""

import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hmu_tasks.data.datasets.amass.convert import FEATURES, JOINTS, Conversion
from hmu_tasks.data.datasets.amass.index import IndexRow
from hmu_tasks.runtime.code_digest import code_digest

NAME: Final = "converted.jsonl"
_CODE: Final = ("data/motion", "data/datasets/smpl", "data/datasets/amass")


class Journal:
    """One line per converted row of the index, appended as it is made; a later line on the same clip wins.

    A line counts as long as code, row and source files are those that it was made from.
    """

    def __init__(self, target: Path) -> None:
        self._file = target / NAME
        self._target = target
        self._lines = self._read()
        self._code = code_digest(*_CODE)
        self._stats: dict[Path, str] = {}
        self._append = self._file.open("a", encoding="utf-8")
        self._append.write("\n")  # ends the line at which a process was killed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._append.close()

    def stamp(self, entry: IndexRow, sources: tuple[Path, ...]) -> str:
        """Return the digest of what a clip is made from: code, row, and size and time of the files that may hold it."""
        parts = [self._code, repr(entry), *map(self._stat, sources)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def made(self, entry: IndexRow, stamp: str) -> Conversion | None:
        """Return the outcome of a row that need not be converted again; None where it must be."""
        line = self._lines.get(entry.clip_id)
        if line is None or line[0] != stamp:
            return None
        there = all(
            (self._target / part / f"{letter}{entry.clip_id}.npy").is_file()
            for part in (FEATURES, JOINTS)
            for letter in ("", "M")
        )
        return line[1] if line[1].fault or there else None

    def add(self, outcome: Conversion, stamp: str) -> None:
        """Record an outcome."""
        line = {"id": outcome.clip_id, "stamp": stamp, "frames": outcome.frames, "fault": outcome.fault}
        self._append.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._append.flush()

    def _stat(self, path: Path) -> str:
        if path not in self._stats:
            found = path.stat()
            self._stats[path] = f"{path} {found.st_size} {found.st_mtime_ns}"
        return self._stats[path]

    def _read(self) -> dict[str, tuple[str, Conversion]]:
        lines: dict[str, tuple[str, Conversion]] = {}
        if self._file.is_file():
            for text in self._file.read_text(encoding="utf-8", errors="replace").split("\n"):
                try:
                    line = json.loads(text)
                    outcome = Conversion(line["id"], line["frames"], line["fault"])
                    lines[outcome.clip_id] = (line["stamp"], outcome)
                except (ValueError, KeyError, TypeError):  # the line at which a process was killed
                    continue
        return lines
