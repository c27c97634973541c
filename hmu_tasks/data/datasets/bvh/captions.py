"""The captions table beside the BVH files: a CSV file with the columns file, caption and split."""

import csv
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.clips.words import words_of
from hmu_tasks.data.datasets.bvh.reader import OTHERS, READ
from hmu_tasks.data.datasets.caption_files import read_lines
from hmu_tasks.runtime.errors import DataError

COLUMNS: Final = ("file", "caption", "split")


@dataclass(frozen=True)
class Entry:
    """A BVH file by its path relative to the folder, its captions in table order, and its split."""

    file: PurePosixPath
    captions: tuple[str, ...]
    split: str

    @property
    def raw_id(self) -> str:
        """Id of its clip: the file's path without the extension."""
        return self.file.with_suffix("").as_posix()


def read_table(table: Path) -> tuple[Entry, ...]:
    """Read the captions of all files in table order; a file may have several rows.

    Raises DataError naming the line if a column is missing, a caption is empty or contains '#', a split is unknown or
    differs between the rows of a file, or a path leads out of the folder.
    """
    try:
        lines = read_lines(table)
    except FileNotFoundError:
        raise DataError(f"{table} is missing; it must hold the columns {', '.join(COLUMNS)}") from None
    except DataError as error:
        raise DataError(f"{table} {error}") from error
    rows = csv.DictReader((f"{line}\n" for line in lines), strict=True, restval="")
    captions: dict[PurePosixPath, list[str]] = {}
    splits: dict[PurePosixPath, str] = {}
    try:
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise DataError(
                f"{table} is missing the column {', '.join(missing)}; its first line must name the columns"
            )
        for row in rows:
            where = f"{table} line {rows.line_num}"
            file, split = _path(row["file"], where), row["split"].strip()
            if split not in SPLITS:
                raise DataError(f"{where}: split {split!r}; choose one of {', '.join(SPLITS)}")
            if splits.setdefault(file, split) != split:
                raise DataError(f"{where}: {file} is in {splits[file]} and in {split}; keep it in one split")
            captions.setdefault(file, []).append(_caption(row["caption"], where))
    except csv.Error as error:
        raise DataError(f"{table} line {rows.line_num}: {error}; save it again as CSV") from error
    if not captions:
        raise DataError(f"{table} names no file; add a row per caption")
    entries = tuple(Entry(file, tuple(texts), splits[file]) for file, texts in captions.items())
    _check_ids(entries, table)
    return entries


def _path(value: str, where: str) -> PurePosixPath:
    text = value.strip().replace("\\", "/")
    path = PurePosixPath(text)
    if path.suffix.lower() not in (*READ, *OTHERS):
        raise DataError(f"{where}: file {value!r} does not end in {' or '.join(READ)}")
    # Control characters would break the id lists written from these names.
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(text).anchor or not text.isprintable():
        raise DataError(f"{where}: file {value!r} leads out of the folder; give a path below it")
    return path


def _caption(value: str, where: str) -> str:
    text = unicodedata.normalize("NFC", " ".join(value.split()))
    if not words_of(text):
        raise DataError(f"{where}: caption {text!r} has no word; write one or remove the row")
    if "#" in text:
        raise DataError(f"{where}: a caption must not contain '#', which separates fields in caption files")
    return text


def _check_ids(entries: tuple[Entry, ...], table: Path) -> None:
    known: dict[str, PurePosixPath] = {}
    for entry in entries:
        if entry.raw_id in known:
            raise DataError(
                f"{table}: {known[entry.raw_id]} and {entry.file} would have the same id; rename one"
            )
        known[entry.raw_id] = entry.file
    for raw_id in known:
        if f"M{raw_id}" in known:
            raise DataError(
                f"{table}: M{raw_id} would be taken for the mirrored twin of {raw_id}; rename one of the two files"
            )
