"""One of several trainings of all models, and values pooled over trainings.

Each training selects its own strengths: what is averaged is a method as the selection rule applies it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hmu_tasks.metrics.attacks import excess
from hmu_tasks.metrics.comparisons import Quantity
from hmu_tasks.metrics.trainings import over_trainings
from hmu_tasks.viewer.attacks import on_retrained, worst_over_edits
from hmu_tasks.viewer.table import Cell, ProbeRecord, Record, Selection, find, pool


@dataclass(frozen=True)
class OneTraining:
    """What one training of the models led to: records with comparisons, selections, success rates of attacks."""

    number: int
    records: Sequence[Record]
    selections: Sequence[Selection]
    probes: Sequence[ProbeRecord]

    def strength(self, model: str, method: str) -> int | None:
        """The strength that this training selected; None for the original, D_r, and methods without strengths."""
        mine = (one.strength for one in self.selections if (one.model, one.method) == (model, method))
        return next(mine, None)

    def cell(self, model: str, method: str, split: str, metric: str) -> Cell | None:
        """A metric of a method at the strength that this training selected."""
        strength = self.strength(model, method)
        return find(self.records, method=method, split=split, metric=metric, model=model, strength=strength)

    def worst(self, model: str, method: str, *, excess: bool) -> Cell | None:
        """The most successful attack on a method, corrected for the choice, or the largest excess over D_r."""
        mine = [row for row in self.probes if row["model"] == model]
        strength = self.strength(model, method)
        return worst_over_edits(mine, method, strength, on_retrained(mine) if excess else None)

    def success(self, model: str, method: str, attack: str, *, over_retrained: bool) -> Cell | None:
        """Success of one attack on a method, or its excess over D_r; None where it was not run or cannot apply."""
        mine = [row for row in self.probes if (row["model"], row["attack"]) == (model, attack)]
        strength = self.strength(model, method)
        of = [row for row in mine if row["method"] == method and row.get("strength") == strength]
        if any(row.get("inapplicable") is not None for row in of):
            return None
        if not over_retrained:
            return pool(of)
        found = [
            excess(row, reference) for row in of for reference in mine if reference["method"] == "retrain"
        ]
        return pool([one for one in found if one is not None])


@dataclass(frozen=True)
class OverTrainings:
    """One value over all trainings: mean with 95 % limits (None where unknown), and the value of each training."""

    value: Quantity
    each: tuple[float, ...]

    def written(self) -> dict[str, Any]:
        """As plain JSON, without replicates."""
        return {
            "mean": self.value.mean,
            "low": self.value.low,
            "high": self.value.high,
            "each": list(self.each),
        }


def over_each(
    read: Callable[[OneTraining], Cell | None], trainings: Sequence[OneTraining]
) -> OverTrainings | None:
    """Pool a value over trainings; None unless every training has it."""
    cells = [cell for one in trainings if (cell := read(one)) is not None]
    if len(cells) < len(trainings):
        return None
    value = over_trainings([Quantity.of(cell.mean, cell.replicates) for cell in cells])
    if (
        value.error == 0
    ):  # shares of 0 or 1 in every training: their score intervals hold, not the bootstrap's
        low, high = min(cell.low for cell in cells), max(cell.high for cell in cells)
        value = replace(value, low=low, high=high)
    return OverTrainings(value, tuple(cell.mean for cell in cells))
