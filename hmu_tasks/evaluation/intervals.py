"""Records of measurements: mean, bootstrap replicates with their 95 % limits, n, and the value of each repeat."""

from dataclasses import dataclass

import numpy as np

from hmu_tasks.evaluation.measurements import Measured
from hmu_tasks.evaluation.splits import Split
from hmu_tasks.metrics import metric
from hmu_tasks.metrics.bootstrap import (
    Weights,
    influence_replicates,
    limits,
    mean_replicates,
    split_weights,
)
from hmu_tasks.metrics.records import Identity, Record
from hmu_tasks.metrics.stats import wilson_interval


@dataclass(frozen=True)
class _Interval:
    """Where an interval comes from, its limits, and the replicates behind it."""

    source: str | None = None
    low: float | None = None
    high: float | None = None
    replicates: np.ndarray | None = None


def records(
    measured: Measured,
    identity: Identity,
    *,
    seed: int,
    bundle: str = "",
    evaluator: str = "",
    classifiers: str = "",
) -> list[Record]:
    """Turn the metrics of one bundle on one split into records.

    interval: "bootstrap" over clusters of clips and repeats for means over prompts; "jackknife" for FID, KID, Diversity
    and MultiModality, whose replicates come from influence values; "wilson" for a share of 0 or 1, over clusters,
    for resampling sees no spread there; null, and no limits, for a metric of a whole set without influence values and
    for a single cluster.
    n: prompts per repeat, the mean over repeats, rounded. seed: of the resampling weights.
    bundle, evaluator, classifiers: their digests, left out where empty.
    """
    rows: list[Record] = []
    for name, values in measured.values.items():
        found = _interval(measured, name, seed)
        mean = float(np.mean(values))
        lowest, highest = (0.0, 1.0) if metric(name).unit == "share" else (-np.inf, np.inf)
        row: Record = {
            **identity,  # type: ignore[typeddict-item]  # the other keys are not required
            "split": measured.split.name,
            "metric": name,
            "mean": mean,
            "interval": found.source,
            "low": None if found.low is None else max(lowest, min(mean, found.low)),
            "high": None if found.high is None else min(highest, max(mean, found.high)),
            "n": _prompts(measured, name),
            "repeats": len(values),
            "values": [float(value) for value in values],
        }
        if name == "fid" and measured.split.real is not None:
            row["width"] = int(measured.split.real.shape[1])
        if found.replicates is not None:
            # As they are read back, so that a selection from memory and a report from files agree.
            row["replicates"] = found.replicates.astype(np.float32).astype(np.float64)
        if bundle:
            row["bundle"] = bundle
        if evaluator:
            row["evaluator"] = evaluator
        if classifiers:
            row["classifiers"] = classifiers
        rows.append(row)
    return rows


def _interval(measured: Measured, name: str, seed: int) -> _Interval:
    split = measured.split
    if split.clusters.max() == 0:
        return _Interval()  # a single cluster shows no spread
    if name in measured.rows:
        table = measured.table(name)
        replicates = mean_replicates(table, split.clusters, _weights(split, split.clusters, len(table), seed))
        kept = np.isfinite(table)
        shown = table[kept]
        if metric(name).unit == "share" and shown.min() == shown.max() and shown[0] in (0.0, 1.0):
            count = len(np.unique(split.clusters[kept.any(axis=0)]))
            sure = wilson_interval(count * int(shown[0]), count)
            return _Interval("wilson", sure.low, sure.high, replicates)
        return _limited("bootstrap", replicates)
    if name not in measured.influence:
        return _Interval()
    moved = measured.influence[name]
    clusters = split.clusters if moved.clusters is None else moved.clusters
    role = name if moved.clusters is not None else ""
    weights = _weights(split, clusters, len(moved.own), seed, role=role)
    influence, values = moved.own, np.array(measured.values[name])
    if moved.real is not None and split.real_clusters is None:
        return _limited("jackknife", influence_replicates(values, influence + moved.real, clusters, weights))
    replicates = influence_replicates(values, influence, clusters, weights)
    if moved.real is not None and split.real_clusters is not None:
        # Real motions of other clips than the measured ones are resampled on their own.
        real = _weights(split, split.real_clusters, len(moved.real), seed, role="real")
        apart = Weights(real.clusters, np.ones_like(weights.repeats))
        replicates = replicates + influence_replicates(
            np.zeros(len(values)), moved.real, split.real_clusters, apart
        )
    return _limited("jackknife", replicates)


def _limited(source: str, replicates: np.ndarray) -> _Interval:
    found = limits(replicates)
    return _Interval() if found is None else _Interval(source, *found, replicates)


def _weights(split: Split, clusters: np.ndarray, repeats: int, seed: int, role: str = "") -> Weights:
    count = int(clusters.max()) + 1
    return split_weights(split.sample or split.name, clusters=count, repeats=repeats, seed=seed, role=role)


def _prompts(measured: Measured, name: str) -> int:
    if name not in measured.rows:
        return measured.split.prompts.n
    return round(float(np.isfinite(measured.table(name)).sum(axis=1).mean()))
