"""Each attack over several trainings: its success on D_r, and its excess over D_r on every method."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hmu_tasks.metrics.attacks import attacking
from hmu_tasks.viewer.attacks import FAMILIES
from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.names import attack_label
from hmu_tasks.viewer.one_training import OneTraining, over_each
from hmu_tasks.viewer.summary import short_name

Row = Mapping[str, Any]
"""An attack: its name, family, `retrain` (success on D_r) and `excess` by method, each with mean, limits and `each`."""


def attacks_over_all(trainings: Sequence[OneTraining], model: str, methods: Sequence[str]) -> list[Row]:
    """Measure every attack over the trainings, families in the order of what an attacker needs.

    A cell is missing where a training lacks the attack or where it cannot change anything in the method's models.
    """
    known = attacking([row for row in trainings[0].probes if row["model"] == model], inapplicable=True)
    order = [*FAMILIES, *dict.fromkeys(row["family"] for row in known)]
    names = dict.fromkeys((row["family"], row["attack"]) for row in known)
    found: list[Row] = []
    for family, attack in sorted(names, key=lambda name: order.index(name[0])):
        on = partial(OneTraining.success, model=model, attack=attack)
        retrained = over_each(partial(on, method="retrain", over_retrained=False), trainings)
        cells = {
            method: over_each(partial(on, method=method, over_retrained=True), trainings)
            for method in methods
        }
        written = {method: cell.written() for method, cell in cells.items() if cell is not None}
        if written:
            row: dict[str, Any] = {"attack": attack, "family": family, "excess": written}
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
    families = dict.fromkeys(row["family"] for row in rows)
    for family in families:
        lines.append((f"[{FAMILIES.get(family, family)}]", *[""] * (1 + len(methods))))
        lines += [
            (
                attack_label(row["attack"]),
                _half(row.get("retrain")),
                *(_half(row["excess"].get(method)) for method in methods),
            )
            for row in rows
            if row["family"] == family
        ]
    return Grid(
        (
            f"attacks, {len(summary['trainings'])} trainings, %",
            "on D_r",
            *(f"{short_name(method)}, over D_r" for method in methods),
        ),
        tuple(lines),
        note=(
            "Mean success of each attack on D_r, and how much more often it succeeds on a method, paired by prompt: "
            "mean ± half the 95 % interval over trainings, prompts and draws of the attacker's clips (Student's t "
            "over trainings), under the classifier with the larger upper limit in each training; n/a: the attack "
            "cannot change such a model."
        ),
    )


def _half(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "n/a"
    mean = f"{100 * cell['mean'] + 0.0:.0f}"
    return mean if cell["low"] is None else f"{mean} ±{100 * (cell['high'] - cell['low']) / 2:.0f}"
