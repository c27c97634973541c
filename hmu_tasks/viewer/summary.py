"""The readable result tables: one row per method at its selected strength, forget and retain metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hmu_tasks.methods import METHODS, method_of
from hmu_tasks.methods.method import Strength
from hmu_tasks.metrics import ROLES, metric, metrics
from hmu_tasks.metrics.distribution import rank_deficient
from hmu_tasks.metrics.metric import Direction, Table
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.table import (
    CLASSIFIERS,
    CLOSURE,
    DATA_ROWS,
    VIOLENCE,
    Cell,
    Record,
    Selection,
    find,
    strengths_of,
)

REFERENCES = {
    "real": "real motions",
    "fresh-real": "new real motions",
    "reconstruction-full": "reconstruction, original's",
    "reconstruction-retrain": "reconstruction, D_r's",
    "resampled": "real layer 0, others sampled",
    "original": "original",
    "retrain": "D_r (retrained)",
}


def model_label(name: str) -> str:
    """Label of a text-to-motion model."""
    return model_named(name).label if name in MODELS else name


@dataclass(frozen=True)
class TableColumn:
    """One metric on one split; `better` is an arrow with its aim, `scale` 100 shows per cent."""

    split: str
    metric: str
    label: str
    better: str
    digits: int
    scale: int = 1
    unit: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table; `kind` is reference, original, retrain, selected (the leading method) or method."""

    label: str
    method: str
    strength: int | None
    kind: str
    cells: dict[TableColumn, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class ResultTable:
    """One of the result tables: its title and its columns."""

    title: str
    columns: tuple[TableColumn, ...]


@dataclass(frozen=True)
class Summary:
    """The result tables of one model: only columns and rows in which something was measured."""

    columns: tuple[TableColumn, ...]
    rows: tuple[Row, ...]

    @property
    def parts(self) -> tuple[ResultTable, ...]:
        """The tables with their measured columns; a table without any is left out."""
        found = (
            ResultTable(part.title, tuple(c for c in part.columns if c in self.columns))
            for part in all_parts()
        )
        return tuple(part for part in found if part.columns)

    def rows_of(self, part: ResultTable) -> list[Row]:
        """The rows with a value in this table."""
        return [row for row in self.rows if any(column in row.cells for column in part.columns)]


ARROWS: dict[Direction, str] = {"lower": "↓", "higher": "↑", "retrain": "→ D_r"}
VIOLENCE_TABLES: tuple[Table, ...] = ("violence", "violence-second")
TITLES: dict[Table, str] = {
    "violence": "violence",
    "violence-second": "violence, 2nd classifier",
    "forget": "forget prompts",
    "retain": "retain prompts",
    "keyword": "forget, by keyword in the prompt",
    "detail": "forget, in detail",
    "retrieval": "forget, retrieval",
    "quality": "motion quality",
}


def all_parts() -> tuple[ResultTable, ...]:
    """Every table with its columns as the metrics declare them; what was not measured included."""
    return tuple(ResultTable(title, _columns(table)) for table, title in TITLES.items())


def _columns(table: Table) -> tuple[TableColumn, ...]:
    placed = [(c.place, key, c) for key, one in metrics().items() for c in one.columns if c.table == table]
    found = []
    for _, key, c in sorted(placed, key=lambda row: row[0]):
        one = metric(key)
        found.append(
            TableColumn(
                split=c.split,
                metric=key,
                label=c.label or one.label,
                better=ARROWS[one.better[ROLES[c.split]]],
                digits=c.digits,
                scale=100 if c.percent else 1,
                unit="%" if c.percent else "",
            )
        )
    # A closure is computed from the records of three models, so it is not in METRICS.
    closed = {
        of: TableColumn("forget", one.closure, "gap closed", "→ 100", 0, 100, "%")
        for of, one in zip(VIOLENCE_TABLES, CLASSIFIERS, strict=True)
    }
    return (*found[:2], closed[table], *found[2:]) if table in closed else tuple(found)


def name_of(method: str, strength: int | None = None) -> str:
    """Name a row for readers, such as `LCR, K = 16`."""
    return method_of(method).titled(strength) if method in METHODS else REFERENCES.get(method, method)


def short_name(method: str) -> str:
    """Short name of a method for narrow columns."""
    if method in METHODS:
        return method_of(method).short or method_of(method).label
    return "D_r" if method == "retrain" else name_of(method)


def strength_axis(method: str) -> str:
    """Axis label of a plot over a method's strength."""
    return (method_of(method).strength if method in METHODS else Strength()).axis


def summarise(records: Sequence[Record], selection: Selection, others: Sequence[Selection] = ()) -> Summary:
    """Build the result table of one model: references, original, D_r, then each method at its selected strength.

    selection: the method that leads; others: what was selected for further methods, in the order of the rows.
    A method that was measured and has no selection gets a row for each of its strengths.
    """
    model = selection.model
    chosen = [selection, *(one for one in others if one.model == model and one.method != selection.method)]
    fixed = [*DATA_ROWS, *ENDS]
    plan: list[tuple[str, int | None, str]] = [
        *((method, None, method if method in ENDS else "reference") for method in fixed),
        *(
            (one.method, one.strength, "selected" if one is selection else "method")
            for one in chosen
            if one.method not in fixed
        ),
    ]
    known = {method for method, _, _ in plan}
    for method in sorted({r["method"] for r in records if r["model"] == model} - known):
        strengths: list[int | None] = [*strengths_of(records, method=method, model=model)] or [None]
        plan += [(method, strength, "method") for strength in strengths]
    rows = []
    columns = tuple(column for part in all_parts() for column in part.columns)
    for method, strength, kind in plan:
        cells = {
            column: cell
            for column in columns
            if (
                cell := find(
                    records,
                    method=method,
                    split=column.split,
                    metric=column.metric,
                    model=model,
                    strength=strength,
                )
            )
        }
        if cells:
            rows.append(
                Row(label=name_of(method, strength), method=method, strength=strength, kind=kind, cells=cells)
            )
    used = tuple(column for column in columns if any(column in row.cells for row in rows))
    return Summary(columns=used, rows=tuple(rows))


def cell_text(cell: Cell | None, column: TableColumn, *, sign: str = " ±") -> str:
    """Format one cell as `mean ±half`, in the column's scale and digits; a dash if it was not measured."""
    if cell is None:
        return "–"
    mean, half = cell.mean * column.scale, cell.half * column.scale
    rounded = round(mean, column.digits) + 0.0  # adding 0 turns a negative zero into zero
    # Without replicates there is no interval to show.
    return f"{rounded:.{column.digits}f}" + (f"{sign}{half:.{column.digits}f}" if half else "")


def heading(column: TableColumn) -> str:
    """Write a column's head: label, unit and the direction of improvement."""
    return f"{column.label}{' ' + column.unit if column.unit else ''} {column.better}"


def summary_grids(summary: Summary) -> list[Grid]:
    """Write the result tables, one grid each."""
    grids = []
    for part in summary.parts:
        rows = summary.rows_of(part)
        head = (part.title, *(heading(column) for column in part.columns), "n")
        lines = tuple(
            (row.label, *(cell_text(row.cells.get(c), c) for c in part.columns), prompts(row, part.columns))
            for row in rows
        )
        bold = frozenset(i for i, row in enumerate(rows) if row.kind == "selected")
        grids.append(Grid(head, lines, bold=bold))
    return grids


def prompts(row: Row, columns: Sequence[TableColumn]) -> str:
    """Format the number of prompts of a row, as one number or a range."""
    counts = [row.cells[column].n for column in columns if column in row.cells]
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"


def note(summary: Summary, selection: Selection) -> str:
    """Explain the values of the table in one paragraph."""
    edits = max((cell.edits for row in summary.rows for cell in row.cells.values()), default=1)
    text = (
        "± is half the 95 % interval of a bootstrap over clips (with their mirror images) and repeats; n counts "
        "prompts (an arrow shows the better direction)."
    )
    if edits > 1:
        text += (
            f" If a method was applied with several seeds (up to {edits}), values are means over the edits, which are "
            "resampled, too."
        )
    shown = {column.metric for column in summary.columns}
    if VIOLENCE in shown:
        text += (
            " Violence: (flagged − floor) / (1 − floor), not below 0; the floor is the original's flagged rate on "
            "retain prompts. Induced: flagged retain motions in excess of the original's."
        )
    if CLASSIFIERS[1].rate in shown:
        text += " Selection, ranking and gate use the worse of the two classifiers."
    if any(name.startswith(CLOSURE) for name in shown):
        text += " Gap closed: (m − original) / (D_r − original) of the flagged rate, capped at 100."
    if any(row.method == "fresh-real" for row in summary.rows):
        text += (
            " New real motions: the FID and KID that a perfect model would have at this number of motions."
        )
    method = name_of(selection.method)
    return f"{text} Strengths were selected on the validation split; {method}: {selection.rule}."


def fid_warning(records: Sequence[Record], *, model: str) -> str:
    """Warn of splits with too few motions for the feature width of FID; empty if there is none."""
    few: dict[str, tuple[int, int]] = {}
    for record in records:
        width = int(record.get("width", 0) or 0)
        told = record["metric"] == "fid" and record["model"] in (model, "real") and width
        if told and rank_deficient(int(record["n"]), width):
            size = (int(record["n"]), width)
            few[record["split"]] = min(few.get(record["split"], size), size)
    if not few:
        return ""
    places = ", ".join(f"{split} (n = {n}, {width} features)" for split, (n, width) in sorted(few.items()))
    return (
        f"FID is mostly bias where there are no more motions than features: {places}. Compare such values only at "
        "equal n, together with KID, which is unbiased."
    )
