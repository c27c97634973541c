"""Long metric records to the benchmark table: CSV, JSON, Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmu_tasks.metrics.closures import CLOSURE as CLOSURE
from hmu_tasks.metrics.records import DATA_ROWS as DATA_ROWS
from hmu_tasks.metrics.records import Estimate
from hmu_tasks.metrics.records import ProbeRecord as ProbeRecord
from hmu_tasks.metrics.records import Record as Record
from hmu_tasks.viewer.intervals import crossed_interval, spread

# The first eleven are the benchmark's published columns; the last three distinguish edits of one method.
COLUMNS = (
    "dataset",
    "concept",
    "model",
    "method",
    "seed",
    "split",
    "metric",
    "mean",
    "low",
    "high",
    "n",
    "strength",
    "edit",
    "repeats",
)

VIOLENCE = "violence_corrected"  # the rate corrected for the classifier's false alarms


@dataclass(frozen=True)
class Selection:
    """The edit strength that was selected on the validation split, and the rule."""

    method: str
    strength: int | None
    rule: str
    model: str = "momask"
    met: bool | None = None  # whether the rule's limit was kept on the validation split
    limit: float | None = None  # largest loss of retain R@1 that the rule allows


@dataclass(frozen=True)
class Cell:
    """One value of a table: mean with its 95 % interval, prompts n, and the number of edits averaged."""

    mean: float
    low: float
    high: float
    n: int
    edits: int

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


def benchmark_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Order all records into one table with the columns COLUMNS.

    A record lacks `strength` where its method has none. Rows are sorted, so that equal records give equal bytes.
    """
    frame = pd.DataFrame(
        [{name: record.get(name) for name in COLUMNS} for record in records], columns=COLUMNS
    )
    for name in ("seed", "n", "strength", "repeats"):
        frame[name] = pd.to_numeric(frame[name]).astype("Int64")
    for name in ("mean", "low", "high"):
        frame[name] = pd.to_numeric(frame[name]).astype("float64")
    keys = ["dataset", "concept", "model", "method", "strength", "edit", "seed", "split", "metric"]
    return frame.sort_values(keys, na_position="first", kind="stable", ignore_index=True)


def benchmark_csv(frame: pd.DataFrame) -> str:
    """Write the table as CSV: empty cells where a value does not apply, nine significant digits."""
    return str(frame.to_csv(index=False, lineterminator="\n", float_format="%.9g"))


def benchmark_json(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn the table into a list of JSON records; None where a value does not apply or is not finite."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(key): _plain(value) for key, value in row.items()} for row in rows]


def benchmark_markdown(frame: pd.DataFrame) -> str:
    """Write the table as a Markdown table, one line per record."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in benchmark_json(frame):
        cells = ("" if value is None else _short(value) for value in row.values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def pool(records: Sequence[Estimate]) -> Cell | None:
    """Summarise the records of one metric over its edits (edit seeds); None if no value is finite.

    One edit keeps its own interval, which is over repeats. Several give the mean of their means; the interval covers
    the spread between edits and between repeats, which all edits share (`intervals.crossed_interval`). If single
    repeats are not known, the edits' own intervals are used.
    """
    kept = [record for record in records if record.get("mean") is not None and np.isfinite(record["mean"])]
    if not kept:
        return None
    mean = float(np.mean([record["mean"] for record in kept]))
    n, edits = int(min(r.get("n") or 0 for r in kept)), len(kept)
    low, high = _limits(kept[0])
    if edits > 1:
        table = _by_repeat(kept)
        if table is not None and table.shape[1] > 1:
            half = crossed_interval(table)
            low, high = mean - half, mean + half
        else:
            between = spread([record["mean"] for record in kept])
            below, above = (
                float(np.mean([abs(_limits(r)[side] - r["mean"]) for r in kept])) for side in (0, 1)
            )
            low, high = mean - float(np.hypot(between, below)), mean + float(np.hypot(between, above))
    return Cell(mean=mean, low=low, high=high, n=n, edits=edits)


def paired_difference(records: Sequence[Estimate], baseline: Sequence[Estimate]) -> Cell | None:
    """Summarise the difference of a metric to its baseline (original or D_r), which has one edit.

    Repeats are paired because repeat r has the same prompts everywhere; if single repeats are not known, the two
    intervals add in quadrature. None if one of the two was not measured.
    """
    mine, other = pool(records), pool(baseline)
    if mine is None or other is None:
        return None
    mean = mine.mean - other.mean
    half = float(np.hypot(mine.half, other.half))
    tables = [_by_repeat(records), _by_repeat(baseline[:1])]
    if tables[0] is not None and tables[1] is not None:
        repeats = min(table.shape[1] for table in tables if table is not None)
        if repeats > 1:
            gaps = tables[0][:, :repeats] - tables[1][:, :repeats]
            mean, half = float(gaps.mean()), crossed_interval(gaps)
    return Cell(mean=mean, low=mean - half, high=mean + half, n=min(mine.n, other.n), edits=mine.edits)


def select(
    records: Iterable[Record],
    *,
    method: str,
    split: str,
    metric: str,
    model: str | None,
    strength: int | None = None,
) -> list[Record]:
    """List the records of one method, split and metric; `model` counts only where `method` is not a reference."""
    return [
        r
        for r in records
        if r["method"] == method
        and r["split"] == split
        and r["metric"] == metric
        and (method in DATA_ROWS or model is None or r["model"] == model)
        and (strength is None or r.get("strength") == strength)
    ]


def find(
    records: Iterable[Record],
    *,
    method: str,
    split: str,
    metric: str,
    model: str | None,
    strength: int | None = None,
) -> Cell | None:
    """Pool the records that `select` lists."""
    return pool(select(records, method=method, split=split, metric=metric, model=model, strength=strength))


def strengths_of(records: Iterable[Record], *, method: str, model: str) -> list[int]:
    """List the strengths at which a method was evaluated, in rising order."""
    found = {r["strength"] for r in records if r["method"] == method and r["model"] == model}
    return sorted(int(strength) for strength in found if strength is not None)


def _limits(record: Estimate) -> tuple[float, float]:
    """Limits of one record; one repeat has no spread, so that its limits are missing or equal the mean."""
    low, high = (
        record["mean"] if limit is None else limit for limit in (record.get("low"), record.get("high"))
    )
    return float(low), float(high)


def _by_repeat(records: Sequence[Estimate]) -> NDArray[np.float64] | None:
    """Values of each edit and repeat [S, R], cut to the repeats that all have; None if some are not known."""
    values = [record.get("values") or () for record in records]
    repeats = min((len(found) for found in values), default=0)
    if not repeats:
        return None
    table = np.array([found[:repeats] for found in values], dtype=np.float64)
    return table if np.isfinite(table).all() else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
