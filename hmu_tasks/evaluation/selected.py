"""The edits of a method that count: those of the strength that was selected on the validation split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import expecting, read_object

Edits = Mapping[str, Mapping[str, Any]]  # name -> edit.json


@dataclass(frozen=True)
class SelectedStrength:
    """What selection.json says: the strength, whether any was eligible, the rule that chose it, and an end it lies at.

    end: smallest or largest, where the selected strength is the first or the last of several; None otherwise.
    """

    strength: int | None
    eligible: bool | None
    reason: str
    end: str | None = None


def edits_of(model: str, method: str) -> Edits:
    """Read the description of each edit of a method, by its name; DataError where there is none."""
    source = paths.edits(model, method)
    found = {path.parent.name: read_object(path, "strength") for path in sorted(source.glob("*/edit.json"))}
    if not found:
        raise DataError(f"{source} holds no edit; run `dvc repro` so that the method is applied first")
    return found


def selected_strength(model: str, method: str, *, strengths: bool) -> SelectedStrength:
    """Read the selected strength of a method.

    strengths: whether the method has any; without them there is nothing to select, and the file is not read.
    Raises DataError where it is missing.
    """
    if not strengths:
        return SelectedStrength(None, None, "the method has one strength only")
    path = paths.evaluation(model, method) / "selection.json"
    if not path.exists():
        raise DataError(f"{path} is missing; run `dvc repro` so that {method} of {model} is evaluated first")
    found = read_object(path, "strength", "eligible", "reason")
    with expecting(path):
        return SelectedStrength(
            int(found["strength"]), bool(found["eligible"]), str(found["reason"]), found.get("end")
        )


def selected_edits(model: str, method: str) -> Edits:
    """Edits of the selected strength by rising seed; all edits of a method that has no strength.

    Raises DataError where the method was not applied, its strength not selected, or no edit has it.
    """
    edits = edits_of(model, method)
    has = any(edit["strength"] is not None for edit in edits.values())
    strength = selected_strength(model, method, strengths=has).strength
    names = [name for name, edit in edits.items() if edit["strength"] == strength]
    if not names:
        path = paths.evaluation(model, method) / "selection.json"
        raise DataError(f"{path} names strength {strength}, which no edit has; run `dvc repro`")
    return {name: edits[name] for name in sorted(names, key=lambda name: (edits[name]["seed"], name))}
