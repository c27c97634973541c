"""Selection of a method's strength: the rule, applied to records of the validation split only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hmu_tasks.data.clips.id_lists import id_list
from hmu_tasks.evaluation.record_files import read_records
from hmu_tasks.metrics import metric as described
from hmu_tasks.metrics.comparisons import (
    CLOSURE,
    LOSS,
    Quantity,
    classifiers_of,
    difference,
    pool,
    with_comparisons,
)
from hmu_tasks.metrics.records import ENDS, Record
from hmu_tasks.metrics.selection import Candidate, Choice, choose_strength
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError

FID = "fid"  # whose gap is closed where there are no violence labels


@dataclass(frozen=True)
class Selected:
    """The choice, and the metric whose gap it closes: violence, fid, or strength where there is no gap to close."""

    choice: Choice
    metric: str


def choose(model: str, rows: Sequence[Record], *, limit: float) -> Selected | None:
    """Select a method's strength by gap closure of violence (forget FID without labels), R@1 loss, induced violence.

    rows: records of all edits of the method on the validation splits. Reads the evaluations of the original and of
    D_r. None where the method has one strength only. Where there is no D_r, or it does not lie on the right side of the
    original, the largest eligible strength is selected.
    Raises DataError where evaluations are missing, or have too few clips for the rule.
    """
    if all(row["strength"] is None for row in rows):
        return None
    # The evaluation of D_r also records that it is missing; nothing else of it is needed here.
    missing = absent_reason(paths.evaluation(model, "retrain"))
    present = ENDS[:1] if missing is not None else ENDS
    ends = [row for method in present for row in read_records(paths.evaluation(model, method))]
    rates = classifiers_of([row for row in (*ends, *rows) if row["split"] == "forget-val"])
    names, metric = ([one.rate for one in rates], "violence") if rates else ([FID], FID)
    no_gap = f"there is no D_r: {missing}" if missing is not None else _no_gap(ends, names)
    derived = with_comparisons([*ends, *rows])
    closed = () if no_gap else tuple(("forget-val", CLOSURE + name) for name in names)
    induced = tuple(("retain-val", one.induced) for one in rates)
    candidates = [
        Candidate(
            strength,
            _pooled(derived, strength, ("retain-val", LOSS + "r1")),
            tuple(_pooled(derived, strength, place) for place in closed),
            tuple(_pooled(derived, strength, place) for place in induced),
        )
        for strength in sorted({row["strength"] for row in rows if row["strength"] is not None})
    ]
    choice = choose_strength(
        candidates, limit=limit, measure="violence rate" if metric == "violence" else "forget FID"
    )
    if no_gap:
        return Selected(
            replace(choice, reason=f"{choice.reason}; no gap closure because {no_gap}"), "strength"
        )
    return Selected(choice, metric)


def _no_gap(ends: Sequence[Record], names: Sequence[str]) -> str:
    """Say why no gap can be closed on the validation split; empty where it can."""
    for name in names:
        found = {row["method"]: row for row in ends if (row["split"], row["metric"]) == ("forget-val", name)}
        if set(found) != set(ENDS):
            raise DataError(
                f"{id_list(paths.SPLIT, 'val', 'forget')} has too few clips for a forget FID (two are needed), "
                "and the data have no action labels: no strength can be selected; put more clips of the concept into "
                "the validation split"
            )
        original, retrain = (pool([found[method]]) for method in ENDS)
        # D_r should show less of the concept than the original and be farther from the real forget motions.
        gap = difference(retrain, original)
        wrong = gap.mean <= 0 if name == FID else gap.mean >= 0
        if wrong or not gap.clear:
            return (
                f"on the validation split D_r's {described(name).label} is "
                f"{retrain.mean:.3g}, the original's {original.mean:.3g}"
                f"{'' if wrong else ', which do not differ beyond the noise'}"
            )
    return ""


def _pooled(records: Sequence[Record], strength: float, place: tuple[str, str]) -> Quantity:
    found = [
        row
        for row in records
        if row["strength"] == strength
        and (row["split"], row["metric"]) == place
        and row["method"] not in ENDS
    ]
    if not found:
        split, metric = place
        raise DataError(f"no {metric} was measured on {split} at strength {strength:g}; run `dvc repro`")
    return pool(found)


def selection_record(selected: Selected) -> dict[str, Any]:
    """Return the content of selection.json."""
    choice = selected.choice
    return {
        "strength": choice.strength,
        "eligible": choice.eligible,
        "reason": choice.reason,
        "metric": selected.metric,
        "closure": None if choice.closure is None else _shown(choice.closure.capped()),
        "uncapped": None if choice.closure is None else choice.closure.mean,
        "loss": _shown(choice.loss),
        "induced": _shown(choice.induced),
        "end": choice.end,
        "excluded": choice.excluded,
    }


def _shown(value: Quantity | None) -> Mapping[str, float | None] | None:
    if value is None:
        return None
    return {"mean": value.mean, "low": value.low, "high": value.high, "standard_error": value.error}
