"""Single arrays of untrusted .npz files, such as AMASS's motions and body models: bounded, and never unpickled."""

import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import array_from
from hmu_tasks.runtime.errors import DataError

LARGEST: Final = 1 << 30
"""Bytes of a file or array that are read at most: half an hour at 250 frames per second takes 600 MB."""
_FREELY_PACKED: Final = 1 << 24
_DENSEST: Final = 100
"""Bytes from one packed byte, at most: numbers of a motion shrink to a half, a hand that never moves to nothing."""
_WORD: Final = 1 << 12

Members = Mapping[str, zipfile.ZipInfo]


def members_of(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members of an .npz file by the names of their arrays."""
    return {info.filename.removesuffix(".npy"): info for info in archive.infolist()}


def member(archive: zipfile.ZipFile, members: Members, name: str) -> NDArray[Any]:
    """Read one numeric array; raises DataError, or what `DAMAGE` names."""
    info = _found(members, name)
    if info.file_size > max(_FREELY_PACKED, _DENSEST * info.compress_size):
        raise DataError(
            f"holds an array {name!r} that unpacks from {info.compress_size:,} to {info.file_size:,} bytes, as no "
            "motion does"
        )
    with cast(BinaryIO, archive.open(info)) as file:
        return array_from(file, limit=LARGEST)


def word(archive: zipfile.ZipFile, members: Members, name: str) -> str:
    """Read an array that holds one word, as text or bytes, in small letters; raises as `member` does."""
    info = _found(members, name)
    if info.file_size > _WORD:
        raise DataError(f"holds an array {name!r} of {info.file_size:,} bytes; expected one word")
    with archive.open(info) as file:
        found = np.lib.format.read_array(file, allow_pickle=False)
    if found.size != 1 or found.dtype.kind not in "US":
        raise DataError(
            f"holds an array {name!r} of {found.size} values of type {found.dtype}; expected one word"
        )
    value = found.reshape(-1)[0]
    return (value.decode("utf-8") if isinstance(value, bytes) else str(value)).strip().lower()


def _found(members: Members, name: str) -> zipfile.ZipInfo:
    if name not in members:
        raise DataError(f"holds no array {name!r}; it has {', '.join(sorted(members)[:12]) or 'nothing'}")
    return members[name]
