"""The one gate for files that others wrote: regular files of a bounded size, opened without waiting.

A named pipe or a terminal would block for ever, a device never ends, and a sparse file of a terabyte takes no disk.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Final

from hmu_tasks.runtime.errors import HmuError

MIB: Final = 1 << 20
SETTINGS: Final = 16 * MIB
"""Bytes of a YAML file or of an options file, at most."""
TEXT: Final = 64 * MIB
"""Bytes of captions, id lists and tables of text, at most."""
RECORDS: Final = 128 * MIB
"""Bytes of a JSON file, at most; parsed it takes up to thirty times as much."""
RECORDING: Final = 512 * MIB
"""Bytes of one motion, at most."""
WEIGHTS: Final = 16 << 30
"""Bytes of a file of tensors, at most."""
ANY: Final = 1 << 50
"""No bound: for files that are mapped into memory or streamed."""

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class ForeignFileError(HmuError, OSError):
    """A file is not a regular one, is larger than any of its kind, or its name cannot be one.

    Also an OSError, whose `strerror` says what is wrong without the file's name.
    """

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(errno.EINVAL, fault, os.fspath(path))

    def __str__(self) -> str:
        return f"{self.filename} {self.strerror}"

    def __reduce__(self) -> tuple[type["ForeignFileError"], tuple[Path, str]]:
        return type(self), (Path(self.filename), str(self.strerror))


def check_file(path: Path, *, limit: int) -> int:
    """Return the size of a regular file in bytes; `limit`: the most that a file of its kind has.

    Raises ForeignFileError, FileNotFoundError, or PermissionError.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, PermissionError):
        raise
    except (OSError, ValueError) as error:  # a circular link, a name that is too long or holds a NUL
        raise ForeignFileError(
            path, f"cannot be a file ({_reason(error)}); put the file itself there"
        ) from error
    return _checked(path, found, limit)


def open_file(path: Path, *, limit: int) -> BufferedReader:
    """Open a regular file for reading; raises as `check_file` does.

    The opened file is checked once more: what a name leads to may have changed, and opening does not wait.
    """
    check_file(path, limit=limit)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _checked(path, os.fstat(handle), limit)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Return the content of a regular file; raises as `check_file` does."""
    with open_file(path, limit=limit) as stream:
        # As many bytes as there are: a buffer of the limit's size would be made for each small file.
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(min(size, limit) + 1)
        if len(content) > size:  # files of /proc have no size, and others may grow
            content += stream.read(limit + 1 - len(content)) if limit < WEIGHTS else stream.read()
    if len(content) > limit:
        raise _too_large(path, len(content), limit)
    return content


def read_text(path: Path, *, limit: int, encoding: str = "utf-8") -> str:
    """Return a text file with its line endings as `\\n`; raises as `check_file` does, and UnicodeDecodeError."""
    return read_bytes(path, limit=limit).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def _checked(path: Path, found: os.stat_result, limit: int) -> int:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "no regular file")
        raise ForeignFileError(path, f"is {kind}; put a regular file there")
    if found.st_size > limit:
        raise _too_large(path, found.st_size, limit)
    return found.st_size


def _too_large(path: Path, size: int, limit: int) -> ForeignFileError:
    return ForeignFileError(
        path,
        f"has {size / MIB:,.0f} MiB, more than the {limit / MIB:,.0f} MiB that such a file can have; replace it",
    )


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
