"""HumanML3D's index.csv: which frames of which AMASS motion each clip is."""

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from hmu_tasks.data.datasets.amass.names import HUMANACT12, Key, key_of
from hmu_tasks.data.datasets.caption_files import read_lines
from hmu_tasks.runtime.errors import DataError

COLUMNS: Final = ("source_path", "start_frame", "end_frame", "new_name")


@dataclass(frozen=True)
class IndexRow:
    """A row: frames [start, end) at 20 per second of a motion make the clip `clip_id`.

    key.sub is always known here, if only as the folder's own name. joints: whether the file holds joint positions
    instead of parameters, as those of HumanAct12 do; all of their frames are used.
    """

    clip_id: str
    key: Key
    source_path: str
    start: int
    end: int

    @property
    def sub(self) -> str:
        """Name of the sub-dataset."""
        assert self.key.sub is not None
        return self.key.sub

    @property
    def joints(self) -> bool:
        """Whether the file holds joint positions."""
        return self.sub == HUMANACT12


def is_index(file: Path) -> bool:
    """Whether a file begins with index.csv's line of columns."""
    try:
        return set(COLUMNS) <= set(read_lines(file)[0].split(","))
    except DataError:
        return False


def read_index(file: Path) -> tuple[IndexRow, ...]:
    """Read all rows; raises DataError naming the line of a fault."""
    rows = csv.DictReader((f"{line}\n" for line in read_lines(file)), strict=True, restval="")
    entries: dict[str, IndexRow] = {}
    try:
        lost = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if lost:
            raise DataError(f"{file} has no column {', '.join(lost)}; download it again")
        for row in rows:
            where = f"{file} line {rows.line_num}"
            clip_id = _clip_id(row["new_name"], where)
            if clip_id in entries:
                raise DataError(f"{where}: {clip_id} stands in an earlier line, too; keep one of them")
            path = row["source_path"].strip()
            entries[clip_id] = IndexRow(
                clip_id,
                _key(path, where),
                path,
                _frame(row["start_frame"], f"{where}: start_frame"),
                _frame(row["end_frame"], f"{where}: end_frame"),
            )
    except csv.Error as error:
        raise DataError(f"{file} line {rows.line_num}: {error}; download it again") from error
    if not entries:
        raise DataError(f"{file} has no row; download it again")
    return tuple(entries.values())


def _clip_id(name: str, where: str) -> str:
    path = PurePosixPath(name.strip())
    unsafe = (
        len(path.parts) != 1 or PureWindowsPath(path).anchor or "\\" in name or not path.name.isprintable()
    )
    if path.suffix != ".npy" or unsafe or path.stem in ("", "..") or path.name.startswith("."):
        raise DataError(f"{where}: new_name is {name!r}; expected a file name such as 000000.npy")
    return path.stem


def _key(path: str, where: str) -> Key:
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "pose_data")]
    if len(parts) < 2 or ".." in parts:
        raise DataError(
            f"{where}: source_path is {path!r}; expected one such as ./pose_data/KIT/3/kick_high_left02_poses.npy"
        )
    key = key_of(parts)
    return key if key.sub is not None else key_of(parts[1:], sub=parts[0])


def _frame(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{where} is {text!r}; expected a whole number of frames") from None
