"""Success rates of attacks compared: their excess over D_r, paired by prompt, and the worst of many.

Both are bootstraps over prompts (Efron 1979; with Poisson counts, Hanley and MacGibbon 2006). Records of one set of
prompts share the resampled prompts, so that what is compared differs by model or attack alone.
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.metrics.records import Estimate, ProbeRecord

DRAWS = 2000
HALVES = 200
ATTACKED = "forget"
"""Name of the prompt set of records that name none: captions of the forget test clips."""


def excess(record: ProbeRecord, reference: ProbeRecord) -> Estimate | None:
    """Return by how much an attack succeeds more often than the same attack on D_r, with its 95 % interval.

    Prompts are paired. Under each classifier by itself; the larger excess counts. None where the records have no
    prompts in common.
    """
    found = []
    for ours, theirs in _pairs(record, reference):
        drawn = _means(ours - theirs, _weights(record))
        low, high = np.quantile(drawn, [0.025, 0.975])
        found.append((float(np.mean(ours - theirs)), float(low), float(high), len(ours)))
    if not found:
        return None
    mean, low, high, n = max(found)
    return {"mean": mean, "low": low, "high": high, "n": n}


def worst(records: Sequence[ProbeRecord]) -> Estimate | None:
    """Return the rate of the most successful of several attacks on one bundle, corrected for the choice.

    The largest of k noisy rates is too large on average. So the attack is chosen on one half of the prompts and its
    rate taken from the other half, averaged over random halves (cross-validation, Stone 1974). The limits lie around it
    as bootstrap limits lie around the rate of the attack that is largest on all prompts. Under the classifier with the
    larger result; n: prompts of that attack. None without records of single prompts.
    """
    found = []
    for name in dict.fromkeys(name for record in records for name in record.get("shares", ())):
        rows = [r for r in records if name in r.get("shares", ())]
        shares = [np.asarray(r["shares"][name], float) for r in rows]
        chosen = [_uniform(r, HALVES) < 0.5 for r in rows]
        first = np.array([_means(one, half.astype(float)) for one, half in zip(shares, chosen, strict=True)])
        second = np.array(
            [_means(one, (~half).astype(float)) for one, half in zip(shares, chosen, strict=True)]
        )
        rate = float(np.take_along_axis(second, first.argmax(axis=0)[None], axis=0).mean())
        top = int(np.argmax([one.mean() for one in shares]))
        drawn = _means(shares[top], _weights(rows[top])) - shares[top].mean()
        low, high = (float(limit) for limit in np.quantile(drawn, [0.025, 0.975]))
        found.append((rate, max(0.0, rate + low), min(1.0, rate + high), len(shares[top])))
    if not found:
        return None
    mean, low, high, n = max(found)
    return {"mean": mean, "low": low, "high": high, "n": n}


def _pairs(
    record: ProbeRecord, reference: ProbeRecord
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    ours, theirs = record.get("shares", {}), reference.get("shares", {})
    for name in ours:
        if name in theirs and len(ours[name]) == len(theirs[name]):
            yield np.asarray(ours[name], float), np.asarray(theirs[name], float)


def _weights(record: ProbeRecord) -> NDArray[np.float64]:
    """How often each prompt of a record's set is in each bootstrap sample, [DRAWS, n]: the Poisson bootstrap.

    A prompt's counts depend on its place in the set alone, so that attacks on the first prompts see these alike.
    """
    return _stream(record, 17).poisson(1.0, size=(record["n"], DRAWS)).T.astype(np.float64)


def _uniform(record: ProbeRecord, count: int) -> NDArray[np.float64]:
    """Uniform numbers for each prompt of a record's set, [count, n]; as for `_weights`."""
    return _stream(record, 19).random((record["n"], count)).T


def _stream(record: ProbeRecord, purpose: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(str(record.get("prompts", ATTACKED)).encode()), purpose])


def _means(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    totals = weights.sum(axis=1)
    found: NDArray[np.float64] = np.divide(
        weights @ values, totals, out=np.zeros(len(weights)), where=totals > 0
    )
    return found
