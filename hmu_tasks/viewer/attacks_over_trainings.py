"""Each attack over several trainings: its success on D_r, and its excess over D_r on every method."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hmu_tasks.metrics.attacks import attacking
from hmu_tasks.viewer.attacks import FAMILIES, UNMEASURABLE, UNMEASURABLE_NOTE, says_something
from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.names import attack_label
from hmu_tasks.viewer.one_training import OneTraining, over_each
from hmu_tasks.viewer.summary import short_name

Row = Mapping[str, Any]
"""An attack: its name, family, whether it is `measurable` (see `says_something`) in every training, `retrain` (success
on D_r) and `excess` by method, each with mean, limits and `each`."""


def attacks_over_all(trainings: Sequence[OneTraining], model: str, methods: Sequence[str]) -> list[Row]:
    """Measure every attack over the trainings; returns rows, families in the order of what an attacker needs.

    Success is in 0 to 1, excess in -1 to 1. A cell is missing where a training lacks the attack or where it cannot
    change the method's models.
    """
    mine = [row for one in trainings for row in one.probes if row["model"] == model]
    known = attacking(mine, inapplicable=True)
    order = [*FAMILIES, *dict.fromkeys(row["family"] for row in known)]
    names = dict.fromkeys((row["family"], row["attack"]) for row in known)
    found: list[Row] = []
    for family, attack in sorted(names, key=lambda name: order.index(name[0])):
        succeeds, exceeds = (
            partial(of, model=model, attack=attack) for of in (OneTraining.succeeds, OneTraining.exceeds)
        )
        retrained = over_each(partial(succeeds, method="retrain"), trainings)
        cells = {method: over_each(partial(exceeds, method=method), trainings) for method in methods}
        written = {method: cell.written() for method, cell in cells.items() if cell is not None}
        if written:
            of_original = [row for row in known if (row["attack"], row["method"]) == (attack, "original")]
            row: dict[str, Any] = {
                "attack": attack,
                "family": family,
                "measurable": all(says_something(one) for one in of_original),
                "excess": written,
            }
            found.append(row if retrained is None else {**row, "retrain": retrained.written()})
    return found


def attacks_grid(summary: Mapping[str, Any]) -> Grid | None:
    """Lay out the attacks of a summary of trainings, methods by rank; None where none was run."""
    rows: Sequence[Row] = summary["attacks"]
    if not rows:
        return None
    known, placed = {method for row in rows for method in row["excess"]}, summary["ranks"]
    methods = sorted(known, key=lambda name: (placed.get(name, len(known) + 1), name))
    lines: list[tuple[str, ...]] = []
    for family in dict.fromkeys(row["family"] for row in rows):
        lines.append((f"[{FAMILIES.get(family, family.replace('_', ' '))}]", *[""] * (1 + len(methods))))
        lines += [
            (
                attack_label(row["attack"]) + ("" if row["measurable"] else UNMEASURABLE),
                _half(row.get("retrain")),
                *(_half(row["excess"].get(method)) for method in methods),
            )
            for row in rows
            if row["family"] == family
        ]
    note = (
        "Success of each attack on D_r, and how much more often it succeeds on a method, paired by prompt: mean ± half "
        "the 95 % interval over trainings, prompts and draws of the attacker's clips (Student's t over trainings). In "
        "each training the classifier counts under which D_r's success, or the upper limit of the excess, is larger. "
        "n/a: not run in every training, or it cannot change such a model; where that is D_r, the excess is over its "
        "rate without an attack."
    )
    return Grid(
        (
            f"attacks, {len(summary['trainings'])} trainings, %",
            "on D_r",
            *(f"{short_name(method)}, over D_r" for method in methods),
        ),
        tuple(lines),
        note=note + ("" if all(row["measurable"] for row in rows) else UNMEASURABLE_NOTE),
    )


def _half(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "n/a"
    mean = f"{100 * cell['mean']:z.0f}"
    return mean if cell["low"] is None else f"{mean} ±{100 * (cell['high'] - cell['low']) / 2:.0f}"
