"""Evidence: from records, to JSON and back."""

import json
from dataclasses import replace

import pytest
from gate_evidence import GOOD, LIMITS, attacked, measurement

from hmu_tasks.registry.evidence import Evidence, Measurement, measurements, of_edit, success_rates
from hmu_tasks.registry.gate import decide
from hmu_tasks.reviews.summary import Concordance, HumanJudgement, JudgedShare, ModelJudgement
from hmu_tasks.runtime.errors import DataError


def test_evidence_survives_json() -> None:
    unattacked = replace(measurement(0.05), inapplicable="no codebook was changed")
    evidence = replace(GOOD, **attacked(measurement(0.1, 0.2), retrain=unattacked))
    again = Evidence.from_json(evidence.to_json())
    assert again == evidence
    assert decide(again, again, LIMITS) == decide(evidence, None, LIMITS)
    values = evidence.to_json()
    del values["bundle"]
    with pytest.raises(DataError, match="and register again"):
        Evidence.from_json(values)


def test_records_become_measurements() -> None:
    record = {
        "split": "forget",
        "metric": "fid",
        "mean": 1.0,
        "low": None,
        "high": None,
        "n": 4,
        "repeats": 3,
    }
    assert measurements([record]) == {"forget/fid": Measurement(1.0, None, None, 4, 3)}
    with pytest.raises(DataError, match="twice"):
        measurements([record, record])
    with pytest.raises(DataError, match="not finite"):
        measurements([record | {"mean": float("nan")}])
    with pytest.raises(DataError, match="names no attack"):
        success_rates([record])
    for why in (None, "no codebook was changed"):
        (rate,) = success_rates([record | {"attack": "revival", "inapplicable": why}]).values()
        assert rate.inapplicable == why
    assert of_edit([{"edit": "a"}, {"edit": "b"}], "a") == [{"edit": "a"}]
    with pytest.raises(DataError, match="choose one of a, b"):
        of_edit([{"edit": "a"}, {"edit": "b"}], "c")


def test_evidence_with_people_is_read_back() -> None:
    human = HumanJudgement(
        2,
        ("Ann", "Ben"),
        (ModelJudgement("edited", "b" * 64, JudgedShare(0.5, 0.1, 0.9, 2), None, None, None),),
        {"cnn": Concordance(JudgedShare(1.0, 0.3, 1.0, 2), None)},
        None,
    )
    judged = replace(GOOD, human=human)
    assert Evidence.from_json(json.loads(json.dumps(judged.to_json()))) == judged
    with pytest.raises(DataError, match=r"evidence\.json cannot be read"):
        Evidence.from_json({**judged.to_json(), "human": {"pairs": "many"}})
