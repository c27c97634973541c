"""Records on disk: metrics.json, and beside it the bootstrap replicates of each record in replicates.npz."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hmu_tasks.data.clips.arrays import read_npz
from hmu_tasks.metrics.records import Record
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import read_objects, write_json

NAME = "metrics.json"
REPLICATES = "replicates.npz"


def write_records(rows: Sequence[Record], folder: Path) -> None:
    """Write both files; replicates are float32 [records, B] in the order of the records, NaN for one without any."""
    write_json(
        folder / NAME,
        [{key: row[key] for key in row if key != "replicates"} for row in rows],  # type: ignore[literal-required]
    )
    draws = max((len(row["replicates"]) for row in rows if "replicates" in row), default=0)
    table = np.full((len(rows), draws), np.nan, dtype=np.float32)
    for place, row in enumerate(rows):
        if "replicates" in row:
            table[place] = row["replicates"]
    np.savez(folder / REPLICATES, replicates=table)


def read_records(folder: Path) -> list[Record]:
    """Read the records of one evaluated cell with their replicates.

    Raises DataError where there are none, or the two files do not belong together.
    """
    path = folder / NAME
    if not path.exists():
        raise DataError(f"{path} is missing; run `dvc repro` so that this cell is evaluated first")
    rows: list[Any] = read_objects(path, "split", "metric", "mean")
    beside = folder / REPLICATES
    if not beside.exists():
        raise DataError(
            f"{beside} is missing beside {NAME}; run `dvc repro` so that this cell is evaluated again"
        )
    table = read_npz(beside, "replicates")["replicates"]
    if len(table) != len(rows):
        raise DataError(f"{beside} has {len(table)} rows for {len(rows)} records; run `dvc repro`")
    for row, replicates in zip(rows, table, strict=True):
        if np.isfinite(replicates).any():
            row["replicates"] = replicates.astype(np.float64)
    return rows
