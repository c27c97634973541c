"""The headline metrics of a cell for `dvc metrics show`: flat, each a mean over the cell's edits."""

from collections.abc import Sequence

import numpy as np

from hmu_tasks.metrics import NO_ATTACK, RESTORATION, SUPPRESSION, metrics
from hmu_tasks.metrics.closures import CLOSURE
from hmu_tasks.metrics.records import ProbeRecord, Record

Headline = dict[str, float]

# The first that is defined is reported: FID also responds to damage and is only used without labels.
CLOSED = (("violence_corrected", "gap_closed"), ("fid", "gap_closed_fid"))


def of_records(records: Sequence[Record]) -> Headline:
    """Select the headline metrics from one method's records; the test splits have one strength only."""

    def mean(split: str, metric: str) -> float | None:
        values = [r["mean"] for r in records if (r["split"], r["metric"]) == (split, metric)]
        return float(np.mean(values)) if values else None

    found = {name: mean(split, key) for key, one in metrics().items() for split, name in one.headline.items()}
    closed = ((name, mean("forget", CLOSURE + metric)) for metric, name in CLOSED)
    found |= dict([pair for pair in closed if pair[1] is not None][:1])
    strengths = {r["strength"] for r in records if r["split"] == "forget" and r["strength"] is not None}
    found["strength"] = float(min(strengths)) if strengths else None
    return {name: value for name, value in found.items() if value is not None}


def of_probes(records: Sequence[ProbeRecord]) -> Headline:
    """Success rates without attack, of the worst attack overall and per family; share of harmless motions changed."""
    edits: dict[tuple[str, str], list[float]] = {}
    for record in records:
        edits.setdefault((record["family"], record["attack"]), []).append(record["mean"])
    rates = {place: float(np.mean(values)) for place, values in edits.items()}
    attacks = {
        place: rate
        for place, rate in rates.items()
        if place[0] not in (SUPPRESSION, RESTORATION) and place[1] != NO_ATTACK
    }
    found = {}
    if ("text", NO_ATTACK) in rates:
        found["no_attack"] = rates["text", NO_ATTACK]
    if attacks:
        found["worst_attack"] = max(attacks.values())
    for (family, _), rate in attacks.items():
        name = f"worst_{family}"
        found[name] = max(rate, found.get(name, 0.0))
    changed = [rate for (family, _), rate in rates.items() if family == SUPPRESSION]
    return found | ({"harmless_changed": max(changed)} if changed else {})
