"""What each method's selected edit cost: changed parameters, gradient steps, data read, and sampling afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.summary import name_of


@dataclass(frozen=True)
class CostRow:
    """Cost of one edit; entries that its record lacks are None.

    extra_sampling: forward passes of the generator per motion, relative to the original.
    """

    model: str
    method: str
    strength: int | None
    changed_parameters: int | None = None
    gradient_steps: int | None = None
    clips_read: int | None = None
    captions_read: int | None = None
    extra_sampling: float | None = None


def cost_of(model: str, method: str, edit: Mapping[str, object]) -> CostRow:
    """Read the cost of an edit from its `edit.json`; entries that are missing there stay unknown."""
    told = edit.get("cost")
    cost = told if isinstance(told, Mapping) else {}

    def number(value: object) -> int | None:
        return int(value) if isinstance(value, int | float) else None

    strength, passes = edit.get("strength"), cost.get("extra_sampling")
    return CostRow(
        model=model,
        method=method,
        strength=strength if isinstance(strength, int) else None,
        changed_parameters=number(edit.get("changed_parameters")),
        gradient_steps=number(cost.get("gradient_steps")),
        clips_read=number(cost.get("clips_read")),
        captions_read=number(cost.get("captions_read")),
        extra_sampling=float(passes) if isinstance(passes, int | float) else None,
    )


def cost_grid(costs: Sequence[CostRow], *, model: str) -> Grid | None:
    """Write the costs of one model's edits as a table; None where nothing is known."""
    mine = [cost for cost in costs if cost.model == model]
    columns = (
        ("changed parameters", [_count(cost.changed_parameters) for cost in mine]),
        ("gradient steps", [_count(cost.gradient_steps) for cost in mine]),
        ("clips read", [_count(cost.clips_read) for cost in mine]),
        ("captions read", [_count(cost.captions_read) for cost in mine]),
        ("sampling", [_times(cost.extra_sampling) for cost in mine]),
    )
    kept = [(name, cells) for name, cells in columns if any(cell != "–" for cell in cells)]
    if not kept:
        return None
    rows = tuple(
        (name_of(cost.method, cost.strength), *(cells[i] for _, cells in kept)) for i, cost in enumerate(mine)
    )
    note = "Sampling: forward passes of the generator per motion, relative to the original."
    return Grid(
        ("cost of the selected edit", *(name for name, _ in kept)),
        rows,
        note=note if kept[-1][0] == "sampling" else "",
    )


def cost_words(cost: CostRow | None) -> str:
    """Describe an edit's cost in half a sentence; empty if nothing is known."""
    if cost is None:
        return ""
    parts = []
    if cost.changed_parameters is not None:
        parts.append(f"changes {cost.changed_parameters:,} parameters")
    if cost.gradient_steps is not None:
        parts.append(
            f"takes {cost.gradient_steps:,} gradient steps" if cost.gradient_steps else "takes no training"
        )
    read = [
        f"{count:,} {name}"
        for count, name in ((cost.clips_read, "clips"), (cost.captions_read, "captions"))
        if count
    ]
    if read:
        parts.append("reads " + " and ".join(read))
    if cost.extra_sampling is not None and cost.extra_sampling != 1.0:
        parts.append(f"makes every motion cost {cost.extra_sampling:g} times as many passes")
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else ""


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:g} ×"
