"""Where a store keeps artifacts: beside its SQLite file, so that they go where the file goes.

MLflow writes absolute folders into experiments, runs and logged models when it makes them, and uses them for ever. A
store that was moved or copied with its folder would so go on reading and writing where it came from.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hmu_tasks.runtime.errors import HmuError

ROOT_VARIABLE = "MLFLOW_DEFAULT_ARTIFACT_ROOT"
EXPERIMENT = "hmu"
FOLDER = "artifacts"
# Columns of MLflow's tables that hold a place of artifacts.
_COLUMNS = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store, None for any other kind."""
    return Path(uri.removeprefix("sqlite:///")) if urlsplit(uri).scheme == "sqlite" else None


def artifact_root(uri: str, side: Path) -> str | None:
    """Address of the folder for artifacts of new experiments; None where a server decides.

    side: folder for the artifacts of a database that is no file
    """
    if urlsplit(uri).scheme in {"http", "https"}:
        return None
    file = sqlite_file(uri)
    beside = side if file is None else file.resolve().parent
    return os.environ.get(ROOT_VARIABLE) or (beside / FOLDER).as_uri()


def check_own(location: str, wanted: str) -> None:
    """Raise HmuError where an experiment keeps its artifacts in a local folder that is not the wanted one."""
    if location != wanted and _local(location) is not None:
        raise HmuError(
            f"the MLflow store keeps its artifacts in {_local(location)}, which is not {_local(wanted) or wanted}; "
            f"nothing was written. Set {ROOT_VARIABLE}={location} to go on there, or use another store "
            "(MLFLOW_TRACKING_URI)"
        )


def follow_file(file: Path) -> None:
    """Point a SQLite store that was moved or copied at the artifacts beside it.

    Raises HmuError where they stayed behind; sqlite3.Error where the file is not a database that can be changed.
    """
    own = file.resolve().parent / FOLDER
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", timeout=60, uri=True)) as store, store:
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiments" not in tables:
            return
        row = store.execute(
            "SELECT artifact_location FROM experiments WHERE name = ?", (EXPERIMENT,)
        ).fetchone()
        location = str(row[0]) if row else ""
        old = _local(location)
        if old is None or old == own or location == os.environ.get(ROOT_VARIABLE):
            return
        if old.exists() and not own.exists():
            raise HmuError(
                f"the MLflow store {file} keeps its artifacts in {old}, and not beside it in {own}; copy them there, "
                f"or set {ROOT_VARIABLE}={location} to go on where they are"
            )
        for table in sorted(tables & set(_COLUMNS)):
            column = _COLUMNS[table]
            for before, now in ((location.rstrip("/"), own.as_uri()), (str(old), str(own))):
                store.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 names of ours
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (now, len(before) + 1, before, len(before) + 1, f"{before}/"),
                )


def _local(location: str) -> Path | None:
    """The folder of a local address or path; None for one on another machine."""
    parts = urlsplit(location)
    if parts.scheme not in {"", "file"} or not parts.path or parts.netloc not in {"", "localhost"}:
        return None
    return Path(unquote(parts.path) if parts.scheme else location)
