"""The forget and retain id lists: <split>-<role>.txt, one clip id per line."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import TEXT, read_text

Role = Literal["forget", "retain"]
ROLES: tuple[Role, ...] = ("forget", "retain")


def id_list(folder: Path, split: str, role: Role) -> Path:
    """Path of the id list of a split and role in the folder that `filter` wrote."""
    return folder / f"{split}-{role}.txt"


def read_ids(folder: Path, split: str, role: Role) -> list[str]:
    """Read the clip ids of a split and role; raises DataError if the list is missing or not UTF-8 text."""
    path = id_list(folder, split, role)
    try:
        text = read_text(path, limit=TEXT)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; run the filter step first (`dvc repro filter`)") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error}); run the filter step again") from error
    # Not splitlines(): an id may contain characters that Unicode treats as line breaks.
    return [line for line in text.split("\n") if line]


def write_ids(folder: Path, split: str, role: Role, ids: Iterable[str]) -> None:
    """Write the clip ids of a split and role."""
    id_list(folder, split, role).write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
