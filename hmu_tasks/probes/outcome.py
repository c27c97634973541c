"""Outcomes of attacks per prompt, their records, and resuming a killed step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hmu_tasks.metrics.records import Identity, ProbeRecord
from hmu_tasks.metrics.stats import wilson_interval
from hmu_tasks.runtime.files import expecting, read_objects, write_json

Family = Literal["text", "embedding", "context", "weights", "precision", "oversuppression", "restoration"]


@dataclass(frozen=True)
class AttackOutcome:
    """Share of each prompt's motions in which an attack succeeded, with further details.

    shares: [n] by each classifier. drawn: where the attacker's clips were drawn several times, the same of each draw,
    [draws][n]; shares then are the means. details: budget and secondary metrics, plain values for JSON. inapplicable:
    why the attack can do nothing to such a model; the shares are then those without an attack.
    """

    attack: str
    family: Family
    shares: Mapping[str, Sequence[float]]
    details: Mapping[str, Any] = field(default_factory=dict)
    inapplicable: str | None = None
    drawn: Mapping[str, Sequence[Sequence[float]]] | None = None


def over_draws(
    attack: str, family: Family, shares: Sequence[Mapping[str, Sequence[float]]], details: Mapping[str, Any]
) -> AttackOutcome:
    """Collect the shares of several draws of an attacker's clips into one outcome."""
    if len(shares) == 1:
        return AttackOutcome(attack, family, shares[0], details)
    drawn = {name: [list(one[name]) for one in shares] for name in shares[0]}
    means = {name: [float(share) for share in np.mean(rows, axis=0)] for name, rows in drawn.items()}
    return AttackOutcome(attack, family, means, {**details, "draws": len(shares)}, drawn=drawn)


@dataclass(frozen=True)
class Attack:
    """An attack that is ready to run; one run may have several outcomes, such as one per number of steps."""

    name: str
    run: Callable[[], list[AttackOutcome]]


def record(outcome: AttackOutcome, identity: Identity, *, bundle: str) -> ProbeRecord:
    """Turn an outcome into a record: mean success rate with its 95 % interval, and n, the number of prompts.

    If there are several classifiers, the one with more successes counts; `classifiers` gives the rate by each. The
    interval is Wilson's for n prompts, in which a prompt counts with the share of its motions: exact for one motion per
    prompt, too wide rather than too narrow for more.
    """
    rates = {name: float(np.mean(shares)) for name, shares in outcome.shares.items()}
    shares = outcome.shares[worse(rates)]
    n = len(shares)
    interval = wilson_interval(sum(shares), n)
    found: ProbeRecord = {
        **identity,  # type: ignore[typeddict-item]  # `values` is not required
        "bundle": bundle,
        "attack": outcome.attack,
        "family": outcome.family,
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "n": n,
        "classifiers": rates,
        "shares": {name: [float(share) for share in row] for name, row in outcome.shares.items()},
        "inapplicable": outcome.inapplicable,
    }
    if outcome.drawn is not None:
        found["drawn"] = outcome.drawn
    found.update(outcome.details)  # type: ignore[typeddict-item]  # details are the attack's own
    return found


def worse(rates: Mapping[str, float]) -> str:
    """Name the classifier with the highest rate; the first of equal ones."""
    return max(rates, key=lambda name: rates[name])


def resumed(attack: Attack, folder: Path) -> list[AttackOutcome]:
    """Run an attack, or read its outcomes if an earlier run of the step was killed after it."""
    path = folder / f"{attack.name}.json"
    if path.exists():
        with expecting(path):
            return [AttackOutcome(**row) for row in read_objects(path)]
    found = attack.run()
    write_json(path, [asdict(outcome) for outcome in found])
    return found
