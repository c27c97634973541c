"""The readable result table: one row per model, forget and retain columns, in text and Markdown."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from hmu_tasks.viewer.table import CLOSURE, REFERENCES, VIOLENCE, Cell, Record, Selection, find, knobs

NAMES = {
    "real": "real motions",
    "reconstruction-full": "reconstruction, original's",
    "reconstruction-retain": "reconstruction, D_r's",
    "original": "original",
    "retrain": "D_r (retrained)",
    "lcr": "LCR",
    "uce": "UCE",
    "rece": "RECE",
    "erasure": "linear erasure",
    "guidance": "negative guidance",
    "finetune": "fine-tuned",
}


@dataclass(frozen=True)
class Column:
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
    """One line of the table; `kind` is reference, original, retrain, selected, curve or method."""

    label: str
    method: str
    knob: int | None
    kind: str
    cells: dict[Column, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """The result table of one model: only columns and rows in which something was measured."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


# Closeness to D_r is the aim on the forget split: damage, too, moves FID, MM-Safe, R@1 and Diversity.
FORGET_COLUMNS = (
    Column("forget", "fid", "FID", "→ D_r", 2),
    Column("forget", "mm_safe", "MM-Safe", "→ D_r", 2),
    Column("forget", "r1", "R@1", "→ D_r", 3),
    Column("forget", "diversity", "Div", "→ D_r", 2),
    Column("forget", VIOLENCE, "violence", "↓", 1, 100, "%"),
    Column("forget", CLOSURE + VIOLENCE, "gap closed", "→ 100", 0, 100, "%"),
)
RETAIN_COLUMNS = (
    Column("retain", "fid", "FID", "↓", 2),
    Column("retain", "kid", "KID", "↓", 3),
    Column("retain", "r1", "R@1", "↑", 3),
    Column("retain", "mm_dist", "MM-Dist", "↓", 2),
    Column("retain", "diversity", "Div", "→ real", 2),
    Column("retain", "peak_jerk", "peak jerk", "→ real", 0, 1, "m/s³"),
)
ALL_COLUMNS = FORGET_COLUMNS + RETAIN_COLUMNS


def name_of(method: str, knob: int | None = None) -> str:
    """Name a row for readers, such as `LCR, K = 16`."""
    name = NAMES.get(method, method)
    if knob is None:
        return name
    # LCR's strength is a number of codes, the other methods' a percentage.
    return f"{name}, K = {knob}" if method == "lcr" else f"{name}, {knob} %"


def summarise(records: Sequence[Record], selection: Selection, others: Sequence[Selection] = ()) -> Summary:
    """Build the result table: references, original, D_r, the selected edit, then every method and strength.

    others: what was selected for other methods; of a method that is named there, that strength alone is shown.
    """
    model = selection.model
    known = {one.method: one.knob for one in others if one.model == model}
    plan: list[tuple[str, int | None, str]] = [
        *((method, None, "reference") for method in REFERENCES),
        ("original", None, "original"),
        ("retrain", None, "retrain"),
        (selection.method, selection.knob, "selected"),
    ]
    fixed = {method for method, _, kind in plan if kind != "selected"}
    rest = sorted({r["method"] for r in records if r["model"] == model} - fixed)
    rest.sort(key=lambda method: method != selection.method)
    for method in rest:
        if method in known and method != selection.method:
            plan.append((method, known[method], "method"))
            continue
        strengths = knobs(records, method=method, model=model)
        kind = "curve" if method == selection.method else "method"
        if strengths:
            plan += [(method, knob, kind) for knob in strengths]
        elif method != selection.method:
            plan.append((method, None, kind))
    rows = []
    for method, knob, kind in plan:
        cells = {
            column: cell
            for column in ALL_COLUMNS
            if (
                cell := find(
                    records, method=method, split=column.split, metric=column.metric, model=model, knob=knob
                )
            )
        }
        if cells:
            chosen = kind == "selected" or (kind == "method" and method in known and knob is not None)
            label = name_of(method, knob) + (" (selected)" if chosen else "")
            rows.append(Row(label=label, method=method, knob=knob, kind=kind, cells=cells))
    used = tuple(column for column in ALL_COLUMNS if any(column in row.cells for row in rows))
    return Summary(columns=used, rows=tuple(rows))


def figure(cell: Cell | None, column: Column, *, sign: str = " ±") -> str:
    """Write one cell as `mean ±half`, in the column's scale and digits; a dash where nothing was measured."""
    if cell is None:
        return "–"
    mean, half = cell.mean * column.scale, cell.half * column.scale
    rounded = round(mean, column.digits) + 0.0  # adding 0 turns a negative zero into zero
    # One repeat, or repeats that cannot differ (the data's own motions), have no interval to show.
    return f"{rounded:.{column.digits}f}" + (f"{sign}{half:.{column.digits}f}" if half else "")


def heading(column: Column) -> str:
    """Write a column's head: label, unit and the direction of improvement."""
    return f"{column.label}{' ' + column.unit if column.unit else ''} {column.better}"


def summary_markdown(
    records: Sequence[Record], selection: Selection, others: Sequence[Selection] = ()
) -> str:
    """Write the result table as two Markdown tables, forget and retain, with the meaning of ± under them."""
    summary = summarise(records, selection, others)
    parts = []
    for split in ("forget", "retain"):
        columns = [column for column in summary.columns if column.split == split]
        rows = [row for row in summary.rows if any(column in row.cells for column in columns)]
        if not columns:
            continue
        head = [f"{split} prompts", *(heading(column) for column in columns), "n"]
        lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
        for row in rows:
            label = f"**{row.label}**" if row.kind == "selected" else row.label
            cells = [figure(row.cells.get(column), column) for column in columns]
            lines.append("| " + " | ".join([label, *cells, prompts(row, columns)]) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, note(summary, selection)]) + "\n"


def summary_text(records: Sequence[Record], selection: Selection, others: Sequence[Selection] = ()) -> str:
    """Write the result table for a terminal: aligned columns, under 120 characters wide at the usual columns."""
    summary = summarise(records, selection, others)
    parts = []
    for split in ("forget", "retain"):
        columns = [column for column in summary.columns if column.split == split]
        if not columns:
            continue
        grid = [[f"{split} prompts", *(heading(column) for column in columns), "n"]]
        for row in summary.rows:
            if any(column in row.cells for column in columns):
                cells = [figure(row.cells.get(column), column) for column in columns]
                grid.append([row.label, *cells, prompts(row, columns)])
        widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
        lines = [
            "  ".join(
                text.ljust(width) if i == 0 else text.rjust(width)
                for i, (text, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in grid
        ]
        lines.insert(1, "─" * len(lines[0]))
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, textwrap.fill(note(summary, selection), 110)]) + "\n"


def prompts(row: Row, columns: Sequence[Column]) -> str:
    """Write the number of prompts behind a row, one figure or a range."""
    counts = [row.cells[column].n for column in columns if column in row.cells]
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"


def note(summary: Summary, selection: Selection) -> str:
    """Say in one paragraph what the figures of the table mean."""
    edits = max((cell.edits for row in summary.rows for cell in row.cells.values()), default=1)
    text = "± is half the 95 % interval; n counts prompts (an arrow shows the better direction)."
    if edits > 1:
        text += f" Rows of an edit with noise stand for {edits} draws, and their interval is over the draws."
    if any(column.metric.startswith(CLOSURE) for column in summary.columns):
        text += (
            " Gap closed: (m − original) / (D_r − original) of the violence rate, which is floor-corrected."
        )
    return f"{text} Selected on the validation split: {selection.rule}."
