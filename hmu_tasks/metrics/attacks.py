"""Success rates of attacks compared: their excess over D_r, paired by prompt, and the worst of many.

Both are bootstraps over prompts (Efron 1979; with Poisson counts, Hanley and MacGibbon 2006). Records of one set of
prompts share the resampled prompts, so that what is compared differs by model or attack alone.
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.metrics import NO_ATTACK, RESTORATION, SUPPRESSION
from hmu_tasks.metrics.records import Estimate, ProbeRecord
from hmu_tasks.metrics.stats import Interval, difference_of_shares, wilson_interval

DRAWS = 2000
HALVES = 200
ATTACKED = "forget"
"""Name of the prompt set of records that name none: captions of the forget test clips."""


def attacking(records: Sequence[ProbeRecord], *, inapplicable: bool = False) -> list[ProbeRecord]:
    """Return the records of attacks: neither the plain prompts, nor restored parts, nor harmless prompts.

    inapplicable: also those that do not apply, whose rate is that without an attack; a reference for those that do.
    """
    return [
        record
        for record in records
        if is_attack(record["family"], record["attack"])
        and (inapplicable or record.get("inapplicable") is None)
    ]


def is_attack(family: str, attack: str) -> bool:
    """Tell attacks from the plain prompts, restored parts and harmless prompts, which are probed beside them."""
    return family not in (SUPPRESSION, RESTORATION) and attack != NO_ATTACK


def worst(records: Sequence[ProbeRecord], references: Sequence[ProbeRecord] | None = None) -> Estimate | None:
    """Return the rate of the most successful of several attacks on one bundle, corrected for the choice.

    references: the same attacks on D_r; with them, the largest excess over D_r instead, paired by prompt.
    The largest of k noisy rates is too large on average. So the attack is chosen on one half of the prompts and its
    rate taken from the other half, averaged over random halves (cross-validation, Stone 1974). The limits lie around it
    as bootstrap limits lie around the rate of the attack that is largest on all prompts. Under the classifier with the
    larger result; n: prompts of that attack. None without records of single prompts.
    """
    rates: dict[str, list[tuple[ProbeRecord, NDArray[np.float64]]]] = {}
    for record in records:
        if references is None:
            for name, shares in record.get("shares", {}).items():
                rates.setdefault(name, []).append((record, np.asarray(shares, float)))
            continue
        reference = next((one for one in references if one["attack"] == record["attack"]), None)
        for name, ours, theirs in _pairs(record, reference) if reference is not None else ():
            rates.setdefault(name, []).append((record, (ours - theirs).mean(axis=0)))
    found = [_largest(rows) for rows in rates.values()]
    return max(found, key=lambda one: one["mean"], default=None)


def success(record: ProbeRecord) -> Estimate | None:
    """Return how often an attack succeeds, in 0 to 1, under the classifier that tells more often.

    Prompts and draws are resampled as in `excess`; a share of 0 or 1 on every prompt has its score interval (Wilson
    1927). None without records of single prompts.
    """
    found = []
    for name in record.get("shares", {}):
        values = _by_draw(record, name)
        sure = None
        if np.ptp(values) == 0:
            sure = wilson_interval(float(values.mean(axis=0).sum()), values.shape[1])
        found.append(_estimate(values, record, sure)[1])
    return max(found, key=lambda one: one["mean"]) if found else None


def excess(record: ProbeRecord, reference: ProbeRecord) -> Estimate | None:
    """Return how much more often an attack succeeds than the same attack on D_r, paired by prompt, in -1 to 1.

    Under the classifier with the larger upper limit. Where an attacker's clips were drawn several times, draws are
    resampled beside the prompts, and what draws differ by is scaled for their small number. Where the two models differ
    by the same amount on every prompt, as when neither gives way at all, a bootstrap knows no noise; the limits then
    are those of two independent shares (Newcombe 1998). None without records of single prompts of both.
    """
    found = []
    for _, ours, theirs in _pairs(record, reference):
        sure = None
        if np.ptp(ours - theirs) == 0:
            rates = (one.mean(axis=0).sum() for one in (ours, theirs))
            sure = difference_of_shares(*(wilson_interval(float(rate), ours.shape[1]) for rate in rates))
        found.append(_estimate(ours - theirs, record, sure))
    return max(found, key=lambda one: one[0])[1] if found else None


def _estimate(
    values: NDArray[np.float64], record: ProbeRecord, sure: Interval | None
) -> tuple[float, Estimate]:
    """Mean of values [draws, n] with its limits, `sure` ones or those of the bootstrap; the upper one comes first."""
    n = values.shape[1]
    drawn = _crossed(values, {**record, "n": n})
    low, high = (float(limit) for limit in np.quantile(drawn, [0.025, 0.975]))
    if sure is not None:
        low, high = sure.low, sure.high
    return high, {"mean": float(values.mean()), "low": low, "high": high, "n": n, "replicates": drawn}


def _largest(rows: Sequence[tuple[ProbeRecord, NDArray[np.float64]]]) -> Estimate:
    """The rate of the row that is largest on the other half of the prompts, with its limits and replicates."""
    first, second = [], []
    for record, values in rows:
        half = _stream(record, 19).random((record["n"], HALVES)).T < 0.5
        first.append(_means(values, half.astype(float)))
        second.append(_means(values, (~half).astype(float)))
    chosen = np.argmax(first, axis=0)
    rate = float(np.take_along_axis(np.array(second), chosen[None], axis=0).mean())
    record, values = max(rows, key=lambda row: float(row[1].mean()))
    drawn = _means(values, _weights(record)) - values.mean()
    low, high = (float(limit) for limit in np.quantile(drawn, [0.025, 0.975]))
    return {
        "mean": rate,
        "low": rate + low,
        "high": rate + high,
        "n": len(values),
        "replicates": rate + drawn,
    }


def _pairs(
    record: ProbeRecord, reference: ProbeRecord
) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Shares of each draw and prompt, [draws, n], of two records of one attack, by classifier."""
    ours, theirs = (record.get("shares", {}) for record in (record, reference))
    for name in ours:
        if name in theirs and len(ours[name]) == len(theirs[name]):
            first, second = (_by_draw(one, name) for one in (record, reference))
            if 1 not in (len(first), len(second)) and len(first) != len(second):
                first, second = (rows.mean(axis=0, keepdims=True) for rows in (first, second))
            both = np.broadcast_arrays(first, second)  # one that was not drawn is the same in each draw
            yield name, both[0], both[1]


def _by_draw(record: ProbeRecord, name: str) -> NDArray[np.float64]:
    """Shares of each draw and prompt under a classifier, [draws, n]."""
    return np.asarray(record.get("drawn", {}).get(name, [record["shares"][name]]), float)


def _crossed(values: NDArray[np.float64], record: ProbeRecord) -> NDArray[np.float64]:
    """Bootstrap means of values [draws, n] over prompts and draws, [DRAWS]; one draw is taken as given."""
    draws, middle = len(values), values.mean(axis=0)
    if draws == 1:
        return _means(middle, _weights(record))
    spread = middle + (values - middle) * np.sqrt(draws / (draws - 1))
    counts = _stream(record, 23).multinomial(draws, np.full(draws, 1 / draws), size=DRAWS) / draws
    weights = _weights(record)
    totals = weights.sum(axis=1)
    found: NDArray[np.float64] = np.divide(
        np.einsum("bd,dn,bn->b", counts, spread, weights), totals, out=np.zeros(DRAWS), where=totals > 0
    )
    return found


def _weights(record: ProbeRecord) -> NDArray[np.float64]:
    """How often each prompt of a record's set is in each bootstrap sample, [DRAWS, n]: the Poisson bootstrap.

    A prompt's counts depend on its place in the set alone, so that attacks on the first prompts see these alike.
    """
    return _stream(record, 17).poisson(1.0, size=(record["n"], DRAWS)).T.astype(np.float64)


def _stream(record: ProbeRecord, purpose: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(str(record.get("prompts", ATTACKED)).encode()), purpose])


def _means(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    totals = weights.sum(axis=1)
    found: NDArray[np.float64] = np.divide(
        weights @ values, totals, out=np.zeros(len(weights)), where=totals > 0
    )
    return found
