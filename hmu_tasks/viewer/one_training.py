"""One of several trainings of all models, and values pooled over trainings.

Each training selects its own strengths: what is averaged is a method as the selection rule applies it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hmu_tasks.metrics.attacks import excess, success
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

    def worst(self, model: str, method: str, *, over_retrained: bool) -> Cell | None:
        """The most successful attack on a method, corrected for the choice, or the largest excess over D_r."""
        mine = [row for row in self.probes if row["model"] == model]
        strength = self.strength(model, method)
        return worst_over_edits(mine, method, strength, on_retrained(mine) if over_retrained else None)

    def succeeds(self, model: str, method: str, attack: str) -> Cell | None:
        """How often one attack succeeds, in 0 to 1; None where it was not run or cannot change the method's models."""
        return pool(
            [one for row in self._attacked(model, method, attack) if (one := success(row)) is not None]
        )

    def exceeds(self, model: str, method: str, attack: str) -> Cell | None:
        """How much more often one attack succeeds than on D_r, -1 to 1; None as in `succeeds`.

        Where it cannot change D_r's models, these have their rate without it.
        """
        known = [row for row in self.probes if (row["model"], row["method"]) == (model, "retrain")]
        found = [
            excess(row, reference)
            for row in self._attacked(model, method, attack)
            for reference in known
            if reference["attack"] == attack
        ]
        return pool([one for one in found if one is not None])

    def _attacked(self, model: str, method: str, attack: str) -> list[ProbeRecord]:
        """Records of one attack on the selected edits of a method; none where it cannot change one of them."""
        place = (model, method, self.strength(model, method), attack)
        found = [
            row
            for row in self.probes
            if (row["model"], row["method"], row.get("strength"), row["attack"]) == place
        ]
        return [] if any(row.get("inapplicable") is not None for row in found) else found


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
