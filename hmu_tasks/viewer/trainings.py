"""Several trainings of all models: values that cover training, the order of methods that they support, their bands.

The summary is plain JSON. Trainings of the default parameters are recorded in trainings.json beside this module, so
that a report of one training can show what others gave.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmu_tasks.metrics.comparisons import CLASSIFIERS, LOSS, difference, gap_closure
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.metrics.trainings import spread
from hmu_tasks.runtime.files import read_object
from hmu_tasks.viewer.attacks_over_trainings import attacks_grid, attacks_over_all
from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.one_training import OneTraining, OverTrainings, over_each
from hmu_tasks.viewer.summary import name_of, short_name

Read = Callable[[Sequence[OneTraining], str, str], OverTrainings | None]


def _metric(split: str, metric: str) -> Read:
    return lambda trainings, model, method: over_each(
        lambda one: one.cell(model, method, split, metric), trainings
    )


def _worst_attack(trainings: Sequence[OneTraining], model: str, method: str) -> OverTrainings | None:
    return over_each(lambda one: one.worst(model, method, over_retrained=False), trainings)


def _excess(trainings: Sequence[OneTraining], model: str, method: str) -> OverTrainings | None:
    return (
        None
        if method in ENDS
        else over_each(lambda one: one.worst(model, method, over_retrained=True), trainings)
    )


def _larger(split: str, metrics: Sequence[str]) -> Read:
    """The larger of one metric under each violence classifier."""

    def read(trainings: Sequence[OneTraining], model: str, method: str) -> OverTrainings | None:
        found = [
            row for name in metrics if (row := _metric(split, name)(trainings, model, method)) is not None
        ]
        return max(found, key=lambda row: row.value.mean, default=None)

    return read


def _closed(trainings: Sequence[OneTraining], model: str, method: str) -> OverTrainings | None:
    """The gap closed under the worse classifier, of flagged rates averaged over trainings; capped at 1."""
    if method in ENDS:
        return None
    found = []
    for classifier in CLASSIFIERS:
        rates = [_metric("forget", classifier.rate)(trainings, model, name) for name in (method, *ENDS)]
        each = _metric("forget", classifier.closure)(trainings, model, method)
        values = [rate.value for rate in rates if rate is not None]
        if len(values) < len(rates) or each is None:
            continue
        closed = gap_closure(*values).value
        if closed is not None and closed.replicates is not None:
            held = spread(closed.mean, closed.replicates, trainings=len(trainings))
            found.append(OverTrainings(held.capped(), each.each))
    return min(found, key=lambda row: row.value.mean, default=None)


@dataclass(frozen=True)
class TrainingColumn:
    """A column of the table: key in trainings.json, name for readers, factor and digits of what is shown."""

    key: str
    name: str
    read: Read
    digits: int = 3
    scale: float = 1.0


RANKED_BY = "gap_closed"
COLUMNS = (
    TrainingColumn("flagged", "flagged % ↓", _larger("forget", [one.rate for one in CLASSIFIERS]), 1, 100.0),
    TrainingColumn(RANKED_BY, "gap closed % → 100", _closed, 0, 100.0),
    TrainingColumn("retain_r1", "retain R@1 ↑", _metric("retain", "r1")),
    TrainingColumn("r1_lost", "R@1 lost", _metric("retain", LOSS + "r1")),
    TrainingColumn(
        "induced", "induced % → 0", _larger("retain", [one.induced for one in CLASSIFIERS]), 1, 100.0
    ),
    TrainingColumn("forget_fid", "forget FID → D_r", _metric("forget", "fid"), 2),
    TrainingColumn("retain_fid", "retain FID ↓", _metric("retain", "fid"), 2),
    TrainingColumn("worst_attack", "worst attack % ↓", _worst_attack, 0, 100.0),
    TrainingColumn("excess", "over D_r % ↓", _excess, 0, 100.0),
)
Rows = Mapping[str, Mapping[str, OverTrainings]]
"""Method -> key of a column -> value."""


def over_all(trainings: Sequence[OneTraining], model: str) -> Rows:
    """Measure every method over the trainings: the original, D_r, then methods by the gap that they close."""
    methods = dict.fromkeys(one.method for one in trainings[0].selections if one.model == model)
    found: dict[str, dict[str, OverTrainings]] = {}
    for method in dict.fromkeys((*ENDS, *methods)):
        read = {column.key: column.read(trainings, model, method) for column in COLUMNS}
        found[method] = {key: value for key, value in read.items() if value is not None}

    def place(method: str) -> tuple[bool, float]:
        closed = found[method].get(RANKED_BY)
        return method not in ENDS, 0.0 if closed is None else -closed.value.mean

    return {method: found[method] for method in sorted(found, key=place) if found[method]}


def ranks(rows: Rows) -> dict[str, int]:
    """Rank methods by the gap closed; those that are not shown to differ from the best one left share its rank."""
    waiting = [(method, cells[RANKED_BY]) for method, cells in rows.items() if RANKED_BY in cells]
    found: dict[str, int] = {}
    while waiting:
        best = waiting[0][1]
        level = [method for method, value in waiting if value is best or not _apart(best, value)]
        found |= dict.fromkeys(level, len(found) + 1)
        waiting = [row for row in waiting if row[0] not in level]
    return found


def _apart(one: OverTrainings, other: OverTrainings) -> bool:
    gap = difference(one.value, other.value)
    if gap.replicates is None:
        return False
    return spread(gap.mean, gap.replicates, trainings=len(one.each)).clear


Summary = Mapping[str, Any]
"""What the trainings of one model say: trainings, ranks, strengths, values by method and column, and attacks."""
RECORDED = Path(__file__).with_name("trainings.json")


def summarise(trainings: Sequence[OneTraining], model: str) -> Summary:
    """Summarise the trainings of a model; `values` holds mean, limits, and `each` training by method and column."""
    rows = over_all(trainings, model)
    strengths = {method: [one.strength(model, method) for one in trainings] for method in rows}
    return {
        "trainings": [one.number for one in trainings],
        "ranks": ranks(rows),
        "strengths": {method: of for method, of in strengths.items() if None not in of},
        "values": {
            method: {key: found.written() for key, found in cells.items()} for method, cells in rows.items()
        },
        "attacks": attacks_over_all(trainings, model, [method for method in rows if method not in ENDS]),
    }


def parameters_digest(params: Mapping[str, Any]) -> str:
    """Digest of all that decides the values: params.yaml without the trainings, the device, what is only shown, and
    models and methods that are not run.
    """
    kept = {name: section for name, section in params.items() if name not in ("register", "report")}
    kept["unlearn"] = {name: params["unlearn"][name] for name in params["run"]["methods"]}
    bases = {name: params["train"]["base"][name] for name in params["run"]["models"]}
    kept["train"] = {**params["train"], "base": bases}
    kept["run"] = {key: value for key, value in params["run"].items() if key not in UNDECIDING}
    kept["limit"] = params["report"]["retain_loss_limit"]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


UNDECIDING = ("trainings", "device", "track")


def recorded(params: Mapping[str, Any], file: Path = RECORDED) -> dict[str, Summary]:
    """Read the recorded summaries by model; empty unless they were made with these parameters."""
    found = read_object(file, "models", "parameters") if file.exists() else {}
    return dict(found["models"]) if found.get("parameters") == parameters_digest(params) else {}


def trainings_grids(summary: Summary) -> tuple[Grid, ...]:
    """Lay out the values of all methods, and their attacks where these were run."""
    attacks = attacks_grid(summary)
    return (trainings_grid(summary),) if attacks is None else (trainings_grid(summary), attacks)


def trainings_grid(summary: Summary) -> Grid:
    """Lay out the values over trainings, below each the smallest and the largest of a training."""
    count, placed = len(summary["trainings"]), summary["ranks"]
    values = summary["values"]
    shown = [column for column in COLUMNS if any(column.key in cells for cells in values.values())]
    lines: list[tuple[str, ...]] = []
    # A recorded table has lost its order: the ends come first, then methods by rank.
    for method in sorted(values, key=lambda name: (name not in ENDS, placed.get(name, len(values)), name)):
        cells = values[method]
        label = f"{placed[method]}  {name_of(method)}" if method in placed else name_of(method)
        lines.append((label, *(_value(cells.get(column.key), column) for column in shown)))
        lines.append(("", *(_band(cells.get(column.key), column) for column in shown)))
    return Grid(
        (f"{count} trainings", *(column.name for column in shown)),
        tuple(lines),
        title="over trainings",
        note=(
            "Mean ± half the 95 % interval over trainings, prompts, repeats and edits (Student's t over trainings); "
            "below it the smallest and the largest training. Violence, closure and induced violence are under the "
            "worse classifier; all trainings share evaluator and classifiers. " + _strengths(summary)
        ).strip(),
    )


def _value(cell: Mapping[str, Any] | None, column: TrainingColumn) -> str:
    if cell is None:
        return "–"
    mean = f"{column.scale * cell['mean']:z.{column.digits}f}"
    if cell["low"] is None:
        return mean
    return f"{mean} ±{column.scale * (cell['high'] - cell['low']) / 2:.{column.digits}f}"


def _band(cell: Mapping[str, Any] | None, column: TrainingColumn) -> str:
    if cell is None:
        return ""
    low, high = (
        f"{column.scale * limit:z.{column.digits}f}" for limit in (min(cell["each"]), max(cell["each"]))
    )
    return f"{low} to {high}"


def _strengths(summary: Summary) -> str:
    """Say which strengths were selected, training by training."""
    said = [f"{short_name(method)} {', '.join(map(str, of))}" for method, of in summary["strengths"].items()]
    return f"Selected strengths by training: {'; '.join(said)}." if said else ""
