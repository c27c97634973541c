"""Records of measurements: mean, 95 % interval and where it comes from, n and the value of each repeat."""

import numpy as np

from hmu_tasks.evaluation.measurements import Measured
from hmu_tasks.metrics import metric, stats
from hmu_tasks.metrics.records import Identity, Record

Limits = tuple[str, float, float]  # where an interval comes from, its lower and its upper limit


def records(
    measured: Measured, identity: Identity, *, seed: int, bundle: str = "", evaluator: str = ""
) -> list[Record]:
    """Turn the metrics of one bundle on one split into records.

    interval: "repeats" where there are several; with one repeat "bootstrap" over clips, or "wilson" for a share of
    0 or 1, in which a bootstrap sees no spread; null, and no limits, for a single value of a whole set, such as FID.
    n: prompts behind each repeat's value, the mean over repeats, rounded. seed: of the bootstrap.
    bundle, evaluator: their digests, left out where empty.
    """
    rows: list[Record] = []
    for name, values in measured.values.items():
        limits = _over_repeats(values) if len(values) > 1 else _over_prompts(measured, name, seed)
        row: Record = {
            **identity,  # type: ignore[typeddict-item]  # the other keys are not required
            "split": measured.split.name,
            "metric": name,
            "mean": float(np.mean(values)),
            "interval": None if limits is None else limits[0],
            "low": None if limits is None else limits[1],
            "high": None if limits is None else limits[2],
            "n": _prompts(measured, metric(name).of or name),
            "repeats": len(values),
            "values": [float(value) for value in values],
        }
        if name == "fid" and measured.split.real is not None:
            row["width"] = int(measured.split.real.shape[1])
        if bundle:
            row["bundle"] = bundle
        if evaluator:
            row["evaluator"] = evaluator
        rows.append(row)
    return rows


def _over_repeats(values: list[float]) -> Limits:
    found = stats.repeat_interval(values)
    return "repeats", found.low, found.high


def _over_prompts(measured: Measured, name: str, seed: int) -> Limits | None:
    if metric(name).of:
        return _corrected(measured, metric(name).of, seed)
    if name not in measured.rows:
        return None
    found = measured.rows[name]
    kept = found[np.isfinite(found)]
    if metric(name).unit == "share" and kept.min() == kept.max() and kept[0] in (0.0, 1.0):
        count = len(np.unique(measured.split.clusters[np.isfinite(found)]))
        sure = stats.wilson_interval(count * int(kept[0]), count)
        return "wilson", sure.low, sure.high
    interval = stats.cluster_interval(found, measured.split.clusters, rng=np.random.default_rng([seed, 11]))
    return "bootstrap", interval.low, interval.high


def _corrected(measured: Measured, rate: str, seed: int) -> Limits:
    """Limits of a floor-corrected rate; the floor is resampled as well, from its own clips."""
    assert measured.floor is not None
    floor = measured.floor
    alarms = floor.table(rate)[0]
    plain = _over_prompts(measured, rate, seed)
    assert plain is not None
    if plain[0] == "wilson":
        low, high = _floor_corrected(np.array(plain[1:]), np.full(2, alarms.mean())).tolist()
        return "wilson", low, high
    rates = stats.cluster_means(
        measured.rows[rate], measured.split.clusters, rng=np.random.default_rng([seed, 11])
    )
    floors = stats.cluster_means(alarms, floor.split.clusters, rng=np.random.default_rng([seed, 13]))
    count = min(len(rates), len(floors))
    low, high = stats.percentiles(_floor_corrected(rates[:count], floors[:count]))
    return "bootstrap", low, high


def _floor_corrected(rates: np.ndarray, floors: np.ndarray) -> np.ndarray:
    # As forgetting.floor_corrected for many samples; a resampled floor of 1 says nothing of the rate, which is then 0.
    clean = 1.0 - floors
    corrected: np.ndarray = np.divide(rates - floors, clean, out=np.zeros_like(rates), where=clean > 0)
    return corrected


def _prompts(measured: Measured, name: str) -> int:
    if name not in measured.rows:
        return measured.split.prompts.n
    return round(float(np.isfinite(measured.table(name)).sum(axis=1).mean()))
