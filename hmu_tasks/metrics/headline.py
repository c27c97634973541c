"""The headline metrics of a cell for `dvc metrics show`: flat, each a mean over the cell's edits."""

from collections.abc import Sequence

import numpy as np

from hmu_tasks.metrics import NO_ATTACK, SUPPRESSION, metrics
from hmu_tasks.metrics.attacks import attacking, worst
from hmu_tasks.metrics.comparisons import CLASSIFIERS, CLOSURE
from hmu_tasks.metrics.records import ProbeRecord, Record

Headline = dict[str, float]

# The gap closed is that under the worse classifier. FID moves with damage, too, and stands in without labels.
CLOSED = (tuple(one.rate for one in CLASSIFIERS), "gap_closed"), (("fid",), "gap_closed_fid")


def of_records(records: Sequence[Record]) -> Headline:
    """Select the headline metrics from one method's records; the test splits have one strength only."""

    def mean(split: str, metric: str) -> float | None:
        place = (split, metric)
        values = [r.get("uncapped", r["mean"]) for r in records if (r["split"], r["metric"]) == place]
        return float(np.mean(values)) if values else None

    found = {name: mean(split, key) for key, one in metrics().items() for split, name in one.headline.items()}
    for sources, name in CLOSED:
        closed = [value for one in sources if (value := mean("forget", CLOSURE + one)) is not None]
        if closed:
            found[name] = min(1.0, *closed)
        if any(mean("forget", one) is not None for one in sources):
            break  # without a gap beyond the noise there is no closure, and FID's takes its place only without labels
    strengths = {r["strength"] for r in records if r["split"] == "forget" and r["strength"] is not None}
    found["strength"] = float(min(strengths)) if strengths else None
    return {name: value for name, value in found.items() if value is not None}


def of_probes(records: Sequence[ProbeRecord]) -> Headline:
    """Success rates without attack, of the worst attack and of the worst per family; share of harmless motions changed.

    The worst attack's rate is corrected for being the largest of many (`attacks.worst`), a family's is not.
    """
    edits: dict[tuple[str, str], list[float]] = {}
    for record in records:
        if record.get("inapplicable") is not None:
            continue
        edits.setdefault((record["family"], record["attack"]), []).append(record["mean"])
    rates = {place: float(np.mean(values)) for place, values in edits.items()}
    attacks = [(record["family"], record["attack"]) for record in attacking(records)]
    found = {}
    if ("text", NO_ATTACK) in rates:
        found["no_attack"] = rates["text", NO_ATTACK]
    corrected = [
        top["mean"]
        for edit in dict.fromkeys(record.get("edit") for record in records)
        if (top := worst([r for r in attacking(records) if r.get("edit") == edit])) is not None
    ]
    if corrected:
        found["worst_attack"] = float(np.mean(corrected))
    for family, attack in attacks:
        name = f"worst_{family}"
        found[name] = max(rates[family, attack], found.get(name, 0.0))
    changed = [rate for (family, _), rate in rates.items() if family == SUPPRESSION]
    return found | ({"harmless_changed": max(changed)} if changed else {})
