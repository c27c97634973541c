"""What is known of one bundle: its metrics, the original's and D_r's, their sources, and the attacks on it.

Evidence is the gate's only input. It is stored with the registered version, so that the decision can be repeated from
the version alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hmu_tasks.metrics.attacks import excess
from hmu_tasks.metrics.records import ProbeRecord, Record
from hmu_tasks.reviews.summary import HumanJudgement
from hmu_tasks.runtime.errors import DataError

_TABLES = ("edited", "original", "retrain", "probes", "original_probes", "retrain_probes", "probe_excess")


@dataclass(frozen=True)
class Measurement:
    """A metric's mean, its 95 % limits (None without bootstrap replicates), prompts n, and repeats.

    inapplicable: of an attack's success rate: why the attack can do nothing to this model, whose rate without an attack
    the numbers then are; None where it can.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    repeats: int = 1
    inapplicable: str | None = None


@dataclass(frozen=True)
class Evidence:
    """The gate's only input about a bundle.

    bundle: digest of the model's files. edited, original, retrain: `<split>/<metric>` -> value for the edited model,
        for the original, and for the model retrained on the retain set (empty if there is none). Those of the edited
        model include its comparisons with the other two: `loss:`, `gap_closure:` and `gap_left:` of a metric, induced
        violence.
    seeds: number of bundles of the same method and strength that were evaluated, one per edit seed.
    probes, original_probes, retrain_probes: attack -> success rate on the same three models.
    probe_excess: attack -> the edited model's success in excess of D_r's, paired by prompt.
    families: attack -> its family (text, embedding, weights, precision, oversuppression, …).
    contracts: whether the data contracts held; None if they were not checked.
    evaluators, classifiers: digests of the evaluator and of the violence classifiers that measured `edited`, `original`
        and, if there is one, `retrain`. Versions registered before classifiers were recorded have none.
    human: what people say of blind pairs; None where nobody was asked.
    data: digest of the clips. fps, joints: frames per second and joints of their motions. shortest, longest: allowed
        lengths of a motion, in frames.
    """

    model: str
    dataset: str
    concept: str
    method: str
    edit: str
    bundle: str
    edited: Mapping[str, Measurement]
    original: Mapping[str, Measurement]
    retrain: Mapping[str, Measurement]
    seeds: int
    contracts: bool | None
    evaluators: Mapping[str, str]
    data: str
    classifiers: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[str, Measurement] = field(default_factory=dict)
    original_probes: Mapping[str, Measurement] = field(default_factory=dict)
    retrain_probes: Mapping[str, Measurement] = field(default_factory=dict)
    probe_excess: Mapping[str, Measurement] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    human: HumanJudgement | None = None
    fps: float = 20.0
    joints: int = 22
    shortest: int = 40
    longest: int = 196

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file; `from_json` reads them back to an equal object."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Evidence":
        """Read what `to_json` wrote; raises DataError when something is missing or of the wrong kind."""
        try:
            tables = {name: _read(values[name]) for name in _TABLES}
            human = values.get("human")
            judged = None if human is None else HumanJudgement.from_json(human)
            return Evidence(**{**values, **tables, "human": judged})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise DataError(
                f"evidence.json cannot be read ({error}): another release wrote it; delete the registered model in "
                "MLflow, or set MLFLOW_TRACKING_URI to another store, and register again"
            ) from error


def measurements(records: Iterable[Record]) -> dict[str, Measurement]:
    """Read the metric records of one bundle: `<split>/<metric>` -> measurement.

    Raises DataError when two records name the same metric, or a value is not finite.
    """
    found: dict[str, Measurement] = {}
    for record in records:
        name = f"{record['split']}/{record['metric']}"
        if name in found:
            raise DataError(f"metrics.json has {name} of edit {record.get('edit')} twice; evaluate again")
        found[name] = _measurement(record, name)
    return found


def success_rates(records: Iterable[ProbeRecord]) -> dict[str, Measurement]:
    """Read success rates out of probe records: attack -> rate. A record names its attack, mean, low, high and n.

    What does not apply keeps its reason.
    """
    found: dict[str, Measurement] = {}
    for record in records:
        if "attack" not in record:
            raise DataError(f"a record of probe.json names no attack: {dict(record)}; probe again")
        name = str(record["attack"])
        if name in found:
            raise DataError(f"probe.json has attack {name!r} twice for one bundle; probe again")
        found[name] = _measurement(record, name)
    return found


def excess_rates(records: Iterable[ProbeRecord], references: Sequence[ProbeRecord]) -> dict[str, Measurement]:
    """Compare the attacks on a bundle with those on D_r: attack -> excess; an attack that was not run on both is left
    out, and so is one that does not apply to the bundle. Where it does not apply to D_r, D_r has its plain rate.
    """
    on_retrain = {str(record["attack"]): record for record in references}
    found = {}
    for record in records:
        name = str(record["attack"])
        if record.get("inapplicable") is None and name in on_retrain:
            apart = excess(record, on_retrain[name])
            if apart is not None:
                found[name] = Measurement(apart["mean"], apart["low"], apart["high"], apart["n"])
    return found


def families(records: Iterable[ProbeRecord]) -> dict[str, str]:
    """Read the family of each attack: attack -> family; raises DataError if a record has none."""
    found = {}
    for record in records:
        if not record.get("family"):
            raise DataError(f"attack {record.get('attack')!r} of probe.json names no family; probe again")
        found[str(record["attack"])] = str(record["family"])
    return found


def _measurement(record: Mapping[str, Any], name: str) -> Measurement:
    low, high = (None if limit is None else float(limit) for limit in (record.get("low"), record.get("high")))
    measured = Measurement(
        mean=float(record["mean"]),
        low=low,
        high=high,
        n=int(record["n"]),
        repeats=int(record.get("repeats", 1)),
        inapplicable=None if (why := record.get("inapplicable")) is None else str(why),
    )
    numbers = [measured.mean, *(side for side in (low, high) if side is not None)]
    if not all(math.isfinite(number) for number in numbers):
        raise DataError(f"{name} is not finite; evaluate again")
    return measured


def _read(values: Mapping[str, Any]) -> dict[str, Measurement]:
    return {name: _measurement(record, name) for name, record in values.items()}


def rounded(value: float, digits: int) -> str:
    """Format a number with `digits` significant digits, large ones without an exponent."""
    return f"{float(f'{value:.{digits}g}'):.10g}"


def of_edit(records: Sequence[Record], edit: str) -> list[Record]:
    """Return the records of one edit; raises DataError listing the known edits if there are none."""
    found = [record for record in records if record.get("edit") == edit]
    if not found:
        known = sorted({str(record.get("edit")) for record in records})
        raise DataError(
            f"there is no edit {edit!r} among the evaluated ones; choose one of {', '.join(known)}"
        )
    return found
