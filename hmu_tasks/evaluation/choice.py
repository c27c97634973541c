"""Selection of a method's strength: the rule, applied to metrics of the validation split only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hmu_tasks.data.clips.id_lists import id_list
from hmu_tasks.evaluation.measurements import Measured
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.metrics.selection import Candidate, Choice, choose_strength, largest_strength
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import read_json

Edits = Mapping[str, Mapping[str, Any]]  # edit name -> its edit.json
MEASURE = {"violence_corrected": "violence rate", "fid": "forget FID"}
Measurements = Mapping[str, Mapping[str, Measured]]  # edit name -> split -> what was measured


@dataclass(frozen=True)
class Selected:
    """The choice, and the metric whose gap it closes: violence_corrected, fid, or strength where there is no gap."""

    choice: Choice
    metric: str


def choose(model: str, edits: Edits, measured: Measurements, *, limit: float) -> Selected | None:
    """Select the strength by gap closure of violence (forget FID without labels) and by the loss of retain R@1.

    Reads the evaluations of the original and of D_r. None if the method has one strength only. If there is no D_r, or
    it is worse than the original, the largest strength that keeps the retain limit is taken.
    Raises DataError where they are missing, or have too few clips for the rule.
    """
    if all(edit["strength"] is None for edit in edits.values()):
        return None
    # The evaluation of D_r also records that it is missing; nothing else of it is needed here.
    missing = absent_reason(paths.evaluation(model, "retrain"))
    if missing is not None:
        return _strongest(model, edits, measured, f"there is no D_r: {missing}", limit)
    original, retrain = (_reference(model, method) for method in ENDS)
    told = [("forget-val", "violence_corrected") in ends for ends in (original, retrain)]
    told += ["violence_corrected" in found["forget-val"].values for found in measured.values()]
    metric = "violence_corrected" if all(told) else "fid"
    if any(("forget-val", metric) not in ends for ends in (original, retrain)):
        raise DataError(
            f"{id_list(paths.SPLIT, 'val', 'forget')} has too few clips for a forget FID (two are needed), "
            "and the data have no action labels: no strength can be selected; put more clips of the concept into the "
            "validation split"
        )
    start, end = original["forget-val", metric], retrain["forget-val", metric]
    # D_r should show less of the concept than the original and be farther from the real forget motions.
    if (end >= start) if metric == "violence_corrected" else (end <= start):
        reason = f"on the validation split D_r's {MEASURE[metric]} is {end:.3g}, the original's {start:.3g}"
        return _strongest(model, edits, measured, reason, limit)
    candidates = [
        Candidate(
            strength=strength,
            closures=tuple(
                (_mean(measured[name], "forget-val", metric) - start) / (end - start) for name in names
            ),
            losses=tuple(
                original["retain-val", "r1"] - _mean(measured[name], "retain-val", "r1") for name in names
            ),
        )
        for strength, names in _by_strength(edits).items()
    ]
    return Selected(choose_strength(candidates, limit=limit, measure=MEASURE[metric]), metric)


def _strongest(model: str, edits: Edits, measured: Measurements, why: str, limit: float) -> Selected:
    """Select the strength without a gap to close: the largest that keeps the retain limit."""
    start = _reference(model, "original")["retain-val", "r1"]
    losses = {
        strength: [start - _mean(measured[name], "retain-val", "r1") for name in names]
        for strength, names in _by_strength(edits).items()
    }
    choice = largest_strength(losses, limit=limit)
    return Selected(replace(choice, reason=f"{choice.reason}; no gap closure because {why}"), "strength")


def _by_strength(edits: Edits) -> dict[float, list[str]]:
    groups: dict[float, list[str]] = {}
    for name, edit in edits.items():
        groups.setdefault(edit["strength"], []).append(name)
    return groups


def _mean(found: Mapping[str, Measured], split: str, metric: str) -> float:
    return float(np.mean(found[split].values[metric]))


def _reference(model: str, method: str) -> dict[tuple[str, str], float]:
    """Means of the original model or of D_r, by split and metric."""
    path = paths.evaluation(model, method) / "metrics.json"
    if not path.exists():
        raise DataError(f"{path} is missing; evaluate {method} of {model} first, or run `dvc repro`")
    found: Sequence[Mapping[str, Any]] = read_json(path)
    return {(row["split"], row["metric"]): row["mean"] for row in found}
