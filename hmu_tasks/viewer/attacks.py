"""Probes in the report: success rates of attacks per method, and changed motions on harmless prompts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hmu_tasks.metrics import NO_ATTACK
from hmu_tasks.metrics import RESTORATION as RESTORED
from hmu_tasks.metrics import SUPPRESSION as OVER
from hmu_tasks.metrics.attacks import attacking, is_attack, worst
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.metrics.stats import difference_of_shares, wilson_interval
from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.names import attack_label
from hmu_tasks.viewer.summary import short_name
from hmu_tasks.viewer.table import Cell, ProbeRecord, Selection, pool

# In the order of what an attacker needs; a family that is not named here follows under its own name.
FAMILIES = {
    "text": "wording of the prompt",
    "embedding": "embedded text",
    "context": "beginning of a motion given",
    "weights": "access to the weights",
    "precision": "numeric precision",
    RESTORED: "original components restored: no attack, locates the edit",
    OVER: "changed on harmless prompts",
}


UNMEASURABLE = " (not measurable here)"
UNMEASURABLE_NOTE = (
    " Not measurable here: the original shows the concept no more often than harmless prompts are flagged."
)


@dataclass(frozen=True)
class AttackRow:
    """One attack and its success rates: (method, strength) -> rate over the edits that were attacked.

    inapplicable: (method, strength) -> why the attack can do nothing to that model; such a model has no rate.
    measurable: False for written prompts that the original itself does not follow (`says_something`).
    """

    name: str
    family: str
    cells: dict[tuple[str, int | None], Cell]
    inapplicable: Mapping[tuple[str, int | None], str] = field(default_factory=dict)
    measurable: bool = True

    @property
    def label(self) -> str:
        """Name for readers."""
        return attack_label(self.name) + ("" if self.measurable else UNMEASURABLE)


@dataclass(frozen=True)
class Attacks:
    """All probes of one model: columns (method, strength) in the order of the table, and rows by family.

    largest: (method, strength) -> rate of the worst attack, corrected for being the largest of many; excess: the same
    of the excess over D_r.
    """

    columns: tuple[tuple[str, int | None], ...]
    rows: tuple[AttackRow, ...]
    largest: Mapping[tuple[str, int | None], Cell] = field(default_factory=dict)
    excess: Mapping[tuple[str, int | None], Cell] = field(default_factory=dict)

    def families(self, *, over: bool = False) -> list[tuple[str, list[AttackRow]]]:
        """Group the attacks by family; `over`: the rows of harmless prompts alone, which are not attacks."""
        found: dict[str, list[AttackRow]] = {}
        for row in self.rows:
            if (row.family == OVER) == over:
                found.setdefault(row.family, []).append(row)
        return [(FAMILIES.get(name, name.replace("_", " ")), rows) for name, rows in found.items()]

    def run(self, method: str, strength: int | None) -> list[AttackRow]:
        """The attacks that were run against a method."""
        return [
            row for row in self.rows if is_attack(row.family, row.name) and (method, strength) in row.cells
        ]

    def worst(self, method: str, strength: int | None) -> AttackRow | None:
        """The most successful attack against a method, the first of ties; None if none was run."""
        return _highest(self.run(method, strength), (method, strength))

    def suppressed(self, method: str, strength: int | None) -> AttackRow | None:
        """The harmless prompts whose motions change most often; None if none were generated."""
        found = [row for row in self.rows if row.family == OVER and (method, strength) in row.cells]
        return _highest(found, (method, strength))

    def plain(self, method: str, strength: int | None) -> Cell | None:
        """The rate without any attack, on the prompts that are attacked."""
        found = (row.cells.get((method, strength)) for row in self.rows if row.name == NO_ATTACK)
        return next(found, None)


def _highest(rows: Sequence[AttackRow], column: tuple[str, int | None]) -> AttackRow | None:
    return max(rows, key=lambda row: row.cells[column].mean, default=None)


def attacks(probes: Iterable[ProbeRecord], selections: Sequence[Selection], *, model: str) -> Attacks:
    """Arrange the probe records of one model: the original, D_r, then the selected edits in the given order.

    probes: records with model, method, strength, attack, family, mean, low, high, n; edits of a method are pooled.
    """
    mine = [record for record in probes if record["model"] == model]
    plan: list[tuple[str, int | None]] = [(method, None) for method in ENDS]
    plan += [(one.method, one.strength) for one in selections if one.model == model]
    present = {(record["method"], record.get("strength")) for record in mine}
    columns = tuple(column for column in plan if column in present)
    order = list(FAMILIES)
    names = list(dict.fromkeys((str(record["family"]), str(record["attack"])) for record in mine))
    names.sort(
        key=lambda name: (
            order.index(name[0]) if name[0] in order else len(order),
            name[0],
            name[1] != NO_ATTACK,
        )
    )
    rows = []
    for family, attack in names:
        cells, inapplicable = {}, {}
        for method, strength in columns:
            of = [
                r
                for r in mine
                if r["attack"] == attack and r["method"] == method and r.get("strength") == strength
            ]
            why = [reason for r in of if (reason := r.get("inapplicable")) is not None]
            cell = None if why else pool(of)
            if cell is not None:
                cells[method, strength] = cell
            elif why:
                inapplicable[method, strength] = why[0]
        if cells:
            known = [r for r in mine if r["attack"] == attack and r["method"] == "original"]
            measurable = all(says_something(r) for r in known)
            rows.append(AttackRow(attack, family, cells, inapplicable, measurable))
    retrained = on_retrained(mine)
    return Attacks(
        columns,
        tuple(rows),
        _largest(mine, columns, None),
        _largest(mine, [c for c in columns if c[0] not in ENDS], retrained) if retrained else {},
    )


def says_something(record: ProbeRecord) -> bool:
    """Tell whether written prompts make the original show the concept more often than harmless ones make it flagged.

    record: of the original. Where the lower limit of the difference (Newcombe 1998) is not above 0 under any
    classifier, a low rate of an edited model is no forgetting: the acts or words are none that the models know.
    """
    floor = record.get("floor")
    if not isinstance(floor, Mapping):
        return True
    n = record["n"]
    return any(
        difference_of_shares(wilson_interval(rate * n, n), wilson_interval(floor[name] * n, n)).low > 0
        for name, rate in record.get("classifiers", {}).items()
        if name in floor
    )


def on_retrained(mine: Iterable[ProbeRecord]) -> list[ProbeRecord]:
    """The attacks on D_r of one model's records; one that does not apply has D_r's rate without an attack."""
    return attacking([r for r in mine if r["method"] == "retrain"], inapplicable=True)


def _largest(
    mine: Sequence[ProbeRecord],
    columns: Iterable[tuple[str, int | None]],
    references: Sequence[ProbeRecord] | None,
) -> dict[tuple[str, int | None], Cell]:
    """The worst attack on each column, over its edits."""
    cells = {column: worst_over_edits(mine, *column, references) for column in columns}
    return {column: cell for column, cell in cells.items() if cell is not None}


def worst_over_edits(
    mine: Sequence[ProbeRecord],
    method: str,
    strength: int | None,
    references: Sequence[ProbeRecord] | None,
) -> Cell | None:
    """The worst attack on a method, corrected for the choice, or its largest excess over references, over its edits."""
    of = attacking([r for r in mine if r["method"] == method and r.get("strength") == strength])
    edits = dict.fromkeys(r.get("edit") for r in of)
    tops = [top for edit in edits if (top := worst([r for r in of if r.get("edit") == edit], references))]
    return pool(tops)


def rate(cell: Cell | None) -> str:
    """Write a rate in per cent with its interval, such as `12 (8 to 17)`."""
    if cell is None:
        return "–"
    mean = f"{100 * cell.mean:.0f}"
    return mean if cell.low == cell.high else f"{mean} ({interval(cell)})"


def interval(cell: Cell) -> str:
    """Write the limits of a rate in per cent, kept within 0 and 100."""
    low, high = (100 * min(1.0, max(0.0, limit)) for limit in (cell.low, cell.high))
    return f"{low:.0f} to {high:.0f}"


def attack_grids(found: Attacks) -> list[Grid]:
    """Write the probes as two tables: success rates of attacks, and what happens to harmless prompts."""
    grids = []
    for over, title, note in (
        (False, "attack success, %", "Share of attacked prompts whose motion shows the concept"),
        (
            True,
            "changed on harmless prompts, %",
            "Share of harmless prompts whose motion lies outside the original's range; a difference, not harm",
        ),
    ):
        rows = []
        every = [row for _, members in found.families(over=over) for row in members]
        columns = [column for column in found.columns if any(column in row.cells for row in every)]
        for family, members in found.families(over=over):
            if not over:
                rows.append((f"[{family}]", *[""] * (len(columns) + 1)))
            for row in members:
                counts = [cell.n for cell in row.cells.values()]
                cells = [
                    "n/a" if column in row.inapplicable else _half(row.cells.get(column))
                    for column in columns
                ]
                size = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"
                rows.append((row.label, *cells, size))
        if rows and not over:
            rows += _summary(found, columns)
        if rows:
            head = (
                title,
                *(short_name(method) for method, _ in columns),
                "n",
            )
            grids.append(
                Grid(
                    head,
                    tuple(rows),
                    note=f"{note}, ± half its 95 % interval; n counts prompts; n/a: does not apply."
                    + ("" if all(row.measurable for row in every) else UNMEASURABLE_NOTE),
                )
            )
    return grids


def _summary(found: Attacks, columns: Sequence[tuple[str, int | None]]) -> list[tuple[str, ...]]:
    """Two rows: the worst attack, and the largest excess over D_r, each corrected for the choice among many."""
    named = (
        ("worst attack, corrected for the choice", found.largest),
        ("largest excess over D_r", found.excess),
    )
    rows = [(label, *(_half(cells.get(column)) for column in columns), "") for label, cells in named if cells]
    return [("[all attacks]", *[""] * (len(columns) + 1)), *rows] if rows else []


def _half(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return f"{100 * cell.mean:.0f}" + (f" ±{100 * cell.half:.0f}" if cell.half else "")
