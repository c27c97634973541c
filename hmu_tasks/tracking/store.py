"""The MLflow store itself: which one it is, whether it can be reached, and one kind of error when it fails.

MLflow is imported only when a client is needed.
"""

import errno
import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import filelock

from hmu_tasks.runtime.environment import prepare
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.foreign import ANY, check_file
from hmu_tasks.tracking.locations import follow_file, sqlite_file

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_LOCK_SECONDS = 300.0
# The second is what tempfile says of a machine where no folder for temporary files can be written.
_FULL = ("No space left on device", "No usable temporary directory", "database or disk is full")
_ADVICE = (
    "Start the server or correct MLFLOW_TRACKING_URI; run.track: false in params.yaml switches records off"
)


def tracking_uri(root: Path) -> str:
    """Name the store: MLFLOW_TRACKING_URI, or the SQLite file of this checkout."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"sqlite:///{(side_folder(root) / 'mlflow.db').as_posix()}"


def shared_store(uri: str) -> bool:
    """Whether a store serves several machines; a SQLite file is one person's."""
    return urlsplit(uri).scheme != "sqlite"


def side_folder(root: Path) -> Path:
    """Return the folder of this checkout's own store."""
    return root.resolve() / "runs" / "side" / "mlflow"


@contextmanager
def store_lock(uri: str, root: Path, purpose: str = "") -> Iterator[None]:
    """Let one process at a time create tables and parents; parallel first starts break the store else.

    purpose: a name of its own for a lock that is held around others
    """
    file = sqlite_file(uri) or side_folder(root) / "mlflow"
    lock = file.with_name(f"{file.name}{'.' if purpose else ''}{purpose}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(lock, timeout=_LOCK_SECONDS):
            yield
    except filelock.Timeout as error:
        raise HmuError(
            f"the MLflow store stayed locked for {_LOCK_SECONDS:.0f} s ({lock}); "
            "look for a hanging step, end it and start again"
        ) from error


def probe(uri: str) -> None:
    """Fail within seconds where MLflow itself would retry for minutes."""
    parts = urlsplit(uri)
    try:
        if (file := sqlite_file(uri)) is not None:
            _probe_file(file)
        elif parts.hostname:
            port = parts.port or _PORTS.get(parts.scheme.split("+")[0], 80)
            socket.create_connection((parts.hostname, port), timeout=10).close()
    except (OSError, sqlite3.Error) as error:
        raise _unreachable(uri, error) from error


def _probe_file(file: Path) -> None:
    """Open a SQLite file that is there; one that is not is left to `new_client` to make."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        size = check_file(file, limit=ANY)
    except FileNotFoundError:
        if not os.access(file.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "its folder is not writable", str(file)) from None
        return
    if size == 0 and not _unfinished(file).exists():
        raise HmuError(
            f"the MLflow store {file} is empty (0 bytes) where a database was: its runs and registered versions are "
            "lost; restore it from your back-up, or delete the file to start with an empty store"
        )
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", timeout=60, uri=True)) as connection:
        connection.execute("PRAGMA schema_version").fetchone()


def _unfinished(file: Path) -> Path:
    """Beside a SQLite file while its tables are being made; without it an empty file is one that was lost."""
    return file.with_name(f"{file.name}.new")


def _unreachable(uri: str, error: BaseException) -> HmuError:
    return HmuError(
        f"the MLflow store {without_password(uri)} cannot be used: {_first_line(error)}. {_ADVICE}"
    )


def without_password(uri: str) -> str:
    """Write an address for a message."""
    parts = urlsplit(uri)
    return uri.replace(f":{parts.password}@", ":***@") if parts.password else uri


@contextmanager
def clear_errors(uri: str) -> Iterator[None]:
    """Turn the many ways in which a store can fail into one error that says what to do."""
    _prepare_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        if _disk_is_full(error):
            raise DiskFullError(
                f"no space is left on a disk of this machine ({_first_line(error)}); free some, or set TMPDIR to a "
                "folder on another disk for temporary files"
            ) from error
        raise _unreachable(uri, error) from error


class DiskFullError(HmuError):
    """No room for temporary files, or for those of a store on this machine."""


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a full disk; MLflow may pass on the words alone."""
    while error is not None:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or any(words in str(error) for words in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _prepare_mlflow() -> None:
    """Switch telemetry and chatter off; telemetry is read when MLflow is imported. Loopback goes past proxies."""
    prepare()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("alembic", "mlflow", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)


def new_client(uri: str) -> Any:
    """Open an MlflowClient; creates the tables of a fresh SQLite file, so hold `store_lock`.

    A SQLite file that was moved or copied is pointed at the artifacts beside it.
    """
    from mlflow import MlflowClient

    _prepare_mlflow()  # MLflow's import sets its own log levels
    file = sqlite_file(uri)
    if file is not None and file.exists() and not _unfinished(file).exists():
        try:
            follow_file(file)
        except sqlite3.Error as error:
            raise _unreachable(uri, error) from error
        return MlflowClient(tracking_uri=uri)
    if file is None:
        return MlflowClient(tracking_uri=uri)
    if _unfinished(file).exists():  # a process was killed before there was anything to record
        file.unlink(missing_ok=True)
    _unfinished(file).touch()
    client = MlflowClient(tracking_uri=uri)
    _unfinished(file).unlink()
    return client
