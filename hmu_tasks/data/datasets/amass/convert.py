"""Convert the motions of one source, a file or an archive, into features and joints of the clips cut from it."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.amass import archives
from hmu_tasks.data.datasets.amass.index import IndexRow
from hmu_tasks.data.datasets.amass.motion import entry_joints
from hmu_tasks.data.datasets.amass.names import Key
from hmu_tasks.data.datasets.smpl.joints import features_of
from hmu_tasks.data.datasets.smpl.members import LARGEST
from hmu_tasks.data.datasets.smpl.models import MEAN_BODY, BodyModels
from hmu_tasks.data.motion.recovery import to_joints
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import open_file

FEATURES, JOINTS = "new_joint_vecs", "new_joints"


@dataclass(frozen=True)
class Task:
    """Motions to convert: unpacked files, or those of one archive. Each comes with the rows of the index it serves."""

    target: Path
    entries: tuple[IndexRow, ...]
    files: tuple[Path, ...] = ()  # one per entry
    archive: Path | None = None
    models: BodyModels = MEAN_BODY


@dataclass(frozen=True)
class Conversion:
    """What became of a row of the index: the number of rows of features, or why there are none."""

    clip_id: str
    frames: int = 0
    fault: str = ""


def convert(task: Task) -> Iterator[Conversion]:
    """Write features and joints of each entry and its mirrored twin; yields an outcome per entry."""
    if task.archive is None:
        for entry, path in zip(task.entries, task.files, strict=True):
            try:
                with open_file(path, limit=LARGEST) as file:
                    yield _written(task, entry, file)
            except (DataError, OSError) as error:
                yield Conversion(entry.clip_id, fault=f"{path.name} {_told(error)}")
        return
    yield from _from_archive(task, task.archive)


def _from_archive(task: Task, archive: Path) -> Iterator[Conversion]:
    wanted: dict[tuple[str, ...], list[IndexRow]] = {}
    for entry in task.entries:
        wanted.setdefault(entry.key.path, []).append(entry)
    reason = f"{archive.name} does not hold it"
    try:
        for member in archives.members(archive):
            served = _served(wanted, member.key)
            if served:
                yield from _of_member(task, served, member, archive.name)
            if not wanted:
                return
    except (DataError, OSError) as error:
        reason = f"{archive.name} {_told(error)}"
    for entry in (entry for left in wanted.values() for entry in left):
        yield Conversion(entry.clip_id, fault=f"{reason}: {entry.source_path}")


def _served(wanted: dict[tuple[str, ...], list[IndexRow]], key: Key) -> list[IndexRow]:
    """Take the entries that a motion serves out of `wanted`."""
    here = wanted.get(key.path, [])
    served = [entry for entry in here if key.sub in (None, entry.sub)]
    left = [entry for entry in here if entry not in served]
    if left:
        wanted[key.path] = left
    elif here:
        del wanted[key.path]
    return served


def _of_member(
    task: Task, entries: Sequence[IndexRow], member: archives.Member, archive: str
) -> Iterator[Conversion]:
    where = f"{archive}: {member.name}"
    try:
        content = member.read()
    except DataError as error:
        yield from (Conversion(entry.clip_id, fault=f"{where} {error}") for entry in entries)
        return
    for entry in entries:
        try:
            yield _written(task, entry, io.BytesIO(content))
        except DataError as error:
            yield Conversion(entry.clip_id, fault=f"{where} {error}")


def _written(task: Task, entry: IndexRow, file: BinaryIO) -> Conversion:
    twins = features_of(entry_joints(file, entry, task.models))
    for letter, features in zip(("", "M"), twins, strict=True):
        name = f"{letter}{entry.clip_id}.npy"
        # Joints first: features that are there are complete.
        _save(task.target / JOINTS / name, to_joints(features))
        _save(task.target / FEATURES / name, features)
    return Conversion(entry.clip_id, frames=twins.shape[1])


def _save(path: Path, array: NDArray[np.float32]) -> None:
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        np.save(file, array)
    temporary.replace(path)


def _told(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, DataError)
        else f"cannot be read ({getattr(error, 'strerror', None) or error})"
    )
