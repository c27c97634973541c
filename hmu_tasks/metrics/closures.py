"""Gap closures as records: the share of the gap between the original and D_r that each edit closes."""

from collections.abc import Sequence

import numpy as np

from hmu_tasks.metrics.forgetting import gap_closure
from hmu_tasks.metrics.metric import ROLES
from hmu_tasks.metrics.records import DATA_ROWS, ENDS, Record

CLOSURE = "gap_closure:"  # followed by the name of the metric whose gap is meant


def with_closures(records: Sequence[Record]) -> list[Record]:
    """Append the gap closure of every edit to the records: (m - original) / (D_r - original) on forget splits.

    Repeats are paired because repeat r uses the same prompts and seeds in all three models. A gap within the noise
    has no closure and gets no record.
    """
    found = list(records)
    points = {
        (r["model"], r["method"], r["split"], r["metric"]): r for r in records if r.get("strength") is None
    }
    for record in records:
        place = (record["split"], record["metric"])
        if record["method"] in (*ENDS, *DATA_ROWS) or ROLES.get(record["split"]) != "forget":
            continue
        ends = [points.get((record["model"], method, *place)) for method in ENDS]
        if None in ends:
            continue
        values = [np.asarray(r["values"], dtype=float) for r in (record, *ends) if r is not None]
        repeats = min(len(v) for v in values)
        if not repeats or not all(np.isfinite(v[:repeats]).all() for v in values):
            continue
        closed = gap_closure(*(v[:repeats] for v in values))
        if closed.defined and closed.value is not None:
            closure = record.copy()
            closure["metric"] = CLOSURE + record["metric"]
            closure["mean"], closure["low"], closure["high"] = closed.value, closed.low, closed.high
            closure["repeats"], closure["values"] = repeats, []
            found.append(closure)
    return found
