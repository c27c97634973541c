"""Where a store keeps artifacts: beside its SQLite file, so that they go where the file goes.

MLflow writes absolute folders into experiments, runs and logged models when it makes them, and uses them for ever. A
store that was moved or copied with its folder would so go on reading and writing where it came from.
"""

import os
import sqlite3
from collections.abc import Sequence
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
    kept, asked = _local(location), _local(wanted)
    if location != wanted and kept is not None and (asked is None or kept.resolve() != asked.resolve()):
        raise HmuError(
            f"the MLflow store keeps its artifacts in {_local(location)}, which is not {_local(wanted) or wanted}; "
            f"nothing was written. Set {ROOT_VARIABLE}={location} to go on there, or use another store "
            "(MLFLOW_TRACKING_URI)"
        )


def follow_file(file: Path) -> None:
    """Point a SQLite store that was moved or copied at the artifacts beside it.

    Raises HmuError where some stayed behind, or nobody knows where they are; sqlite3.Error where the file is not a
    database that can be changed.
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
        old, given = _local(location), _local(os.environ.get(ROOT_VARIABLE, ""))
        if old is None or old == own or (given is not None and given.resolve() == old.resolve()):
            return
        known = [
            place.relative_to(old)
            for (uri,) in store.execute("SELECT artifact_uri FROM runs")
            if (place := _local(str(uri))) is not None and place.is_relative_to(old)
        ]
        _check_moved(file, known, old, own, location)
        for table in sorted(tables & set(_COLUMNS)):
            column = _COLUMNS[table]
            for before, now in ((location.rstrip("/"), own.as_uri()), (str(old), str(own))):
                store.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 names of ours
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (now, len(before) + 1, before, len(before) + 1, f"{before}/"),
                )


def _check_moved(file: Path, known: Sequence[Path], old: Path, own: Path, location: str) -> None:
    """Raise HmuError where artifacts of runs, at `known` places below a folder, are not beside the file.

    Nothing tells a lost folder from one on a disk that is not there now; then a folder of one of the experiments must
    lie beside the file, which is where MLflow puts the artifacts of its runs.
    """
    missing = [place for place in known if _holds_files(old / place) and not (own / place).exists()]
    if missing:
        raise HmuError(
            f"the MLflow store {file} keeps its artifacts in {old}, and not beside it in {own}, where {missing[0]} and "
            f"{len(missing) - 1} others are missing; copy them there, or set {ROOT_VARIABLE}={location} to go on where "
            "they are"
        )
    experiments = sorted({place.parts[0] for place in known if place.parts})
    if experiments and not old.exists() and not any((own / name).exists() for name in experiments):
        raise HmuError(
            f"the MLflow store {file} keeps its artifacts in {old}, which is not there, and has none beside it in "
            f"{own}; mount or copy them, or give them up: mkdir -p {own / experiments[0]}"
        )


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _local(location: str) -> Path | None:
    """The folder of a local address or path; None for one on another machine."""
    parts = urlsplit(location)
    if parts.scheme not in {"", "file"} or not parts.path or parts.netloc not in {"", "localhost"}:
        return None
    return Path(unquote(parts.path) if parts.scheme else location)
