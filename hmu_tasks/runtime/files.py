"""Atomic writes: a killed process never leaves a file or folder that looks complete."""

import ctypes
import errno
import fcntl
import glob
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import RECORDS, read_text

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_BEFORE: Final = ".before"  # what a folder is called between the two renames that replace it
_TRIES: Final = 100


class DamagedJsonError(DataError, ValueError):
    """A file that should hold JSON holds something else; also a ValueError, as json's own errors are."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success rename it onto `target`, on failure remove it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        _own(handle)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`; on success it replaces `target`, on failure it is removed.

    At every moment `target` is the whole old folder or the whole new one. Where the file system cannot exchange two
    names there is a moment between two renames without either; `recover` puts the old one back if a process was killed
    in it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    recover(target)
    _remove_stale(target)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    handle = os.open(temporary, os.O_RDONLY)
    try:
        _own(handle)
        temporary.chmod(0o755)
        yield temporary
        _put(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


def recover(target: Path) -> None:
    """Put the old folder back if a process was killed while it replaced it; see `replacing_folder`."""
    before = _before(target)
    if not before.is_dir():
        return
    if os.path.lexists(target):
        shutil.rmtree(before, ignore_errors=True)
    else:
        with suppress(OSError):  # the other process lives, and was first
            before.rename(target)


def recover_below(root: Path, patterns: Iterable[str]) -> None:
    """Recover all folders whose parents match glob patterns below `root`."""
    for pattern in patterns:
        for before in root.glob(f"{pattern}/.*{_BEFORE}"):
            recover(before.with_name(before.name.removeprefix(".").removesuffix(_BEFORE)))


def _put(folder: Path, target: Path) -> None:
    """Give a folder the name `target`; what had it before has the folder's name afterwards, or is gone."""
    for _ in range(_TRIES):
        if target.is_dir() and not target.is_symlink():
            if _exchange(folder, target):
                return
            target.rename(_before(target))
        try:
            folder.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            continue  # another process has put the old one back between the two renames
        shutil.rmtree(_before(target), ignore_errors=True)
        return
    raise OSError(errno.EBUSY, "other processes write it at the same time", os.fspath(target))


def _before(target: Path) -> Path:
    return target.with_name(f".{target.name}{_BEFORE}")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system, the C library or the file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)
    if library.renameat2(here, os.fsencode(one), here, os.fsencode(other), swap) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), os.fspath(other))


def _own(handle: int) -> bool:
    """Lock an open file or folder; False if another process holds it or the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_stale(target: Path) -> None:
    """Remove what killed processes left beside `target`; the kernel has released their locks."""
    made_here = re.compile(re.escape(f".{target.name}.") + "[a-z0-9_]{8}")
    for path in target.parent.glob(f".{glob.escape(target.name)}.*"):
        if not made_here.fullmatch(path.name):
            continue
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:  # its owner has just finished
            continue
        try:
            if _own(handle):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def write_json(target: Path, value: Any) -> None:
    """Atomically write `value` as indented JSON with sorted keys; NaN raises ValueError."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(source: Path) -> Any:
    """Read a JSON file; raises FileNotFoundError, ForeignFileError, or DamagedJsonError for what is no JSON."""
    try:
        text = read_text(source, limit=RECORDS)
        value = json.loads(text, parse_constant=_no_constant)
        if _SURROGATE.search(text):  # half of a character, which no file can be written with
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DamagedJsonError(f"{source} is not valid JSON ({error}); make or download it again") from error
    return value


def read_object(source: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON object that has at least `keys`; raises as `read_json` does."""
    value = read_json(source)
    lost = [key for key in keys if not isinstance(value, dict) or key not in value]
    if lost or not isinstance(value, dict):
        what = f"lacks {', '.join(lost)}" if isinstance(value, dict) else "holds no JSON object"
        raise DamagedJsonError(f"{source} {what}; make or download it again")
    return value


def read_objects(source: Path, *keys: str) -> list[dict[str, Any]]:
    """Read a JSON list of objects that each have at least `keys`; raises as `read_json` does."""
    rows = read_json(source)
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and row.keys() >= set(keys) for row in rows
    ):
        of = f" with {', '.join(keys)}" if keys else ""
        raise DamagedJsonError(f"{source} holds no JSON list of objects{of}; make or download it again")
    return rows


@contextmanager
def expecting(source: Path) -> Iterator[None]:
    """Turn what values of another type or form raise, when they are taken out of a file, into an error naming it."""
    try:
        yield
    except DamagedJsonError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DamagedJsonError(
            f"{source} holds something else than its kind does ({error!r}); make or download it again"
        ) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
