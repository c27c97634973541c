"""Long metric records to the benchmark table: CSV, JSON, Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmu_tasks.metrics import comparisons
from hmu_tasks.metrics.comparisons import CLASSIFIERS as CLASSIFIERS
from hmu_tasks.metrics.comparisons import CLOSURE as CLOSURE
from hmu_tasks.metrics.comparisons import LOSS as LOSS
from hmu_tasks.metrics.comparisons import Quantity, ViolenceMetrics
from hmu_tasks.metrics.records import DATA_ROWS as DATA_ROWS
from hmu_tasks.metrics.records import Estimate
from hmu_tasks.metrics.records import ProbeRecord as ProbeRecord
from hmu_tasks.metrics.records import Record as Record

# The first eleven are the benchmark's published columns; the last three tell edits of one method apart.
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

VIOLENCE = CLASSIFIERS[0].corrected  # the first classifier's rate, corrected for its false alarms


@dataclass(frozen=True)
class Selection:
    """The edit strength that was selected on the validation split, and the rule."""

    method: str
    strength: int | None
    rule: str
    model: str = "momask"
    met: bool | None = None  # whether the strength was eligible on the validation split
    limit: float | None = None  # loss of retain R@1 that the rule allows
    end: str | None = None  # smallest or largest, if the strength is the first or last of those tried


@dataclass(frozen=True)
class Cell:
    """One value of a table: mean with its 95 % interval, prompts n, and the number of edits averaged.

    replicates: [B] of the bootstrap, by which cells of one split are compared; None where they are not known.
    """

    mean: float
    low: float
    high: float
    n: int
    edits: int
    replicates: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)

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

    One edit keeps its own interval; several are resampled, too (`comparisons.pool`). Without replicates, as in success
    rates of attacks, the interval reaches from the lowest to the highest limit of the edits. Gap closures are capped at
    1 after pooling.
    """
    kept = [record for record in records if record.get("mean") is not None and np.isfinite(record["mean"])]
    if not kept:
        return None
    found = comparisons.pool(kept)
    if any("uncapped" in record for record in kept):
        found = found.capped()
    limits = [_limits(record) for record in kept]
    low = found.low if found.low is not None else min(low for low, _ in limits)
    high = found.high if found.high is not None else max(high for _, high in limits)
    n = int(min(r.get("n") or 0 for r in kept))
    return Cell(found.mean, low, high, n, len(kept), found.replicates)


def paired_difference(one: Cell | None, other: Cell | None) -> Cell | None:
    """Return one cell minus another, paired by replicate; None if one of the two was not measured.

    Without replicates, the two intervals add in quadrature.
    """
    if one is None or other is None:
        return None
    mean, n = one.mean - other.mean, min(one.n, other.n)
    if one.replicates is None or other.replicates is None:
        half = float(np.hypot(one.half, other.half))
        return Cell(mean, mean - half, mean + half, n, one.edits)
    found = Quantity.of(mean, one.replicates - other.replicates)
    low, high = (mean if limit is None else limit for limit in (found.low, found.high))
    return Cell(mean, low, high, n, one.edits, found.replicates)


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


def worst(
    records: Iterable[Record],
    metrics: Iterable[str],
    *,
    method: str,
    split: str,
    model: str | None,
    strength: int | None = None,
    more: bool = False,
) -> Cell | None:
    """Return the worst of several metrics, such as those of two classifiers: largest, or smallest if more is better."""
    place: dict[str, Any] = {"method": method, "split": split, "model": model, "strength": strength}
    kept = list(records)
    found = [cell for name in metrics if (cell := find(kept, metric=name, **place))]
    return min(found, key=lambda cell: cell.mean if more else -cell.mean, default=None)


def worse_classifier(
    records: Sequence[Record], *, method: str, split: str, model: str, strength: int | None
) -> ViolenceMetrics:
    """Return the metrics of the classifier under which a method looks worse, as the ranking sees it.

    That is the one with the smaller closure, or on harmless prompts the larger induced violence; where neither is
    known, the one that flags more, and the first if none was measured.
    """
    place: dict[str, Any] = {"method": method, "split": split, "model": model, "strength": strength}
    for sign, names in (
        (-1.0, [one.closure for one in CLASSIFIERS]),
        (1.0, [one.induced for one in CLASSIFIERS]),
        (1.0, [one.rate for one in CLASSIFIERS]),
    ):
        cells = [find(records, metric=name, **place) for name in names]
        found = [(sign * cell.mean, -index) for index, cell in enumerate(cells) if cell]
        if found:
            return CLASSIFIERS[-max(found)[1]]
    return CLASSIFIERS[0]


def strengths_of(records: Iterable[Record], *, method: str, model: str) -> list[int]:
    """List the strengths at which a method was evaluated, in rising order."""
    found = {r["strength"] for r in records if r["method"] == method and r["model"] == model}
    return sorted(int(strength) for strength in found if strength is not None)


def _limits(record: Estimate) -> tuple[float, float]:
    """Limits of one record; its mean where it has none."""
    low, high = (
        record["mean"] if limit is None else limit for limit in (record.get("low"), record.get("high"))
    )
    return float(low), float(high)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
