"""Archives of AMASS as downloaded, read from the first byte to the last without unpacking them to disk."""

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

from hmu_tasks.data.datasets.amass.names import Key, is_motion, key_of, sub_dataset
from hmu_tasks.data.datasets.smpl.members import LARGEST
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import ANY, open_file

_PEEKED: Final = 20  # members looked at to learn what an archive of unknown name holds
_OPENERS: Final[Mapping[bytes, Callable[..., Any]]] = {
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x1f\x8b": gzip.open,
}
DAMAGE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
    MemoryError,
    LookupError,
    TypeError,
    AttributeError,
    struct.error,
)


@dataclass(frozen=True)
class Member:
    """A file within an archive: its key, its name there, and the opened file, valid until the next member."""

    key: Key
    name: str
    file: BinaryIO

    def read(self) -> bytes:
        """Return the whole file; raises DataError where the archive is damaged here."""
        try:
            return self.file.read(LARGEST)
        except DAMAGE as error:
            raise DataError(f"is damaged in the archive ({error}); download that again") from error


def subs_of(archive: Path) -> frozenset[str]:
    """Sub-datasets that an archive may hold, by its name or else its first members; empty if neither tells.

    Raises DataError where the archive cannot be read.
    """
    named = sub_dataset(archive.name)
    if named is not None:
        return frozenset({named})
    return frozenset(one.key.sub for one in islice(members(archive), _PEEKED) if one.key.sub is not None)


def members(archive: Path) -> Iterator[Member]:
    """Yield the motions of an archive in its order; raises DataError, to be prefixed by its name, if it is damaged."""
    count = 0
    sub = sub_dataset(archive.name)
    try:
        with _files(archive) as files:
            for name, size, file in files:
                if not is_motion(name):
                    continue
                if size > LARGEST:
                    raise DataError(
                        f"holds {name} of {size >> 20} MB, more than any motion; download it again"
                    )
                yield Member(key_of(PurePosixPath(name.replace("\\", "/")).parts, sub), name, file)
                count += 1
    except DAMAGE as error:
        raise DataError(
            f"is damaged after {count} motions ({error or type(error).__name__}); download it again"
        ) from error


@contextmanager
def _files(archive: Path) -> Iterator[Iterator[tuple[str, int, BinaryIO]]]:
    with open_file(archive, limit=ANY) as raw:
        start = raw.read(6)
        raw.seek(0)
        if start.startswith(b"PK"):
            with zipfile.ZipFile(raw) as zipped:
                yield _of_zip(zipped)
            return
        opener = next((found for magic, found in _OPENERS.items() if start.startswith(magic)), None)
        # bz2.open and its like read files of several streams, as parallel compressors write them; tarfile's own do not.
        stream = cast(BinaryIO, opener(raw, "rb") if opener else raw)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            yield _of_tar(tar)


def _of_tar(tar: tarfile.TarFile) -> Iterator[tuple[str, int, BinaryIO]]:
    for info in tar:
        if info.isreg():
            file = tar.extractfile(info)
            assert file is not None
            yield info.name, info.size, cast(BinaryIO, file)


def _of_zip(zipped: zipfile.ZipFile) -> Iterator[tuple[str, int, BinaryIO]]:
    for info in zipped.infolist():
        if not info.is_dir():
            with zipped.open(info) as file:
                yield info.filename, info.file_size, cast(BinaryIO, file)
