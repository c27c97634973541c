"""The gate's clauses on attacks: which must run, what they may reach, and what stands for those that do not apply."""

from dataclasses import replace

import pytest
from gate_evidence import GOOD, LIMITS, attacked, broken, measurement

from hmu_tasks.registry.evidence import Measurement
from hmu_tasks.registry.gate import decide


def test_an_attack_that_must_be_run_must_be_run() -> None:
    for name in ("relearning-8x5", "weights"):
        assert broken(decide(GOOD, None, replace(LIMITS, probes=(name,)))) == [f"probe {name}"]
    evidence = replace(GOOD, **attacked(measurement(0.1)))
    for name in ("paraphrase", "text"):  # a family stands for any of its attacks
        assert broken(decide(evidence, None, replace(LIMITS, probes=(name,)))) == []


def test_an_attack_that_does_not_apply_is_no_attack_that_ran() -> None:
    plain = replace(measurement(0.9), inapplicable="no codebook was changed")  # the rate without an attack
    for required in ((), ("paraphrase",), ("text",)):
        limits = replace(LIMITS, probes=required)
        decision = decide(replace(GOOD, **attacked(plain)), None, limits)
        assert broken(decision) == []
        (clause,) = [clause for clause in decision.clauses if clause.name == "probe paraphrase"]
        assert clause.reason == "does not apply: no codebook was changed"
        assert not {"mean", "high"} & set(clause.values)  # they are of no attack
    said = {clause.name: clause.reason for clause in decision.clauses}
    assert said["probe text"] == "does not apply: no codebook was changed"
    # Also without a limit on its family: what must be run is dealt with, and says so.
    unlimited = replace(LIMITS, probes=("paraphrase",), probe_success={})
    decision = decide(replace(GOOD, **attacked(plain)), None, unlimited)
    assert [clause.reason for clause in decision.clauses if clause.name == "probe paraphrase"] == [
        "does not apply: no codebook was changed"
    ]
    # Another attack of the family that applies is checked as ever.
    both = attacked(plain)
    both["probes"] = {**both["probes"], "inserted": measurement(0.9)}
    both["families"] = {**both["families"], "inserted": "text"}
    decision = decide(replace(GOOD, **both), None, replace(LIMITS, probes=("text",)))
    assert broken(decision) == ["probe inserted"]
    assert "probe text" not in {clause.name for clause in decision.clauses}


def test_an_attack_that_does_not_apply_to_a_reference_is_told() -> None:
    plain = replace(measurement(0.45, half=0.10), inapplicable="no codebook was changed")
    found = attacked(measurement(0.50, half=0.10), retrain=plain, excess=measurement(0.05, half=0.03))
    evidence = replace(GOOD, **found | {"original_probes": {"paraphrase": plain}})
    decision = decide(evidence, None, LIMITS)
    (clause,) = [clause for clause in decision.clauses if clause.name == "probe paraphrase"]
    assert clause.passed
    assert clause.reason == "succeeds up to 0.08 more often than on D_r (95 %), 0.1 is allowed"
    assert clause.values["original"] == clause.values["retrain"] == "does not apply: no codebook was changed"
    assert not {"original_mean", "retrain_mean"} & set(clause.values)


def test_the_control_without_an_attack_has_no_limit() -> None:
    """Plain prompts have limits of their own, on many more motions."""
    bad = attacked(measurement(0.9))
    named = {key: {"none": value["paraphrase"]} for key, value in bad.items() if value}
    assert broken(decide(replace(GOOD, **bad), None, LIMITS)) == ["probe paraphrase"]
    assert broken(decide(replace(GOOD, **named), None, replace(LIMITS, probes=("none",)))) == []


def test_the_excess_over_the_retrained_model_is_limited_and_not_the_rate() -> None:
    """What D_r cannot resist is no fault of an edit; what it resists must be resisted."""
    found = measurement(0.50, half=0.10)

    def broken_clauses(excess: Measurement | None, family: str = "text") -> list[str]:
        rates = attacked(found, retrain=measurement(0.45), excess=excess, family=family)
        return broken(decide(replace(GOOD, **rates), None, LIMITS))

    assert broken_clauses(measurement(0.05, half=0.05)) == []
    assert broken_clauses(measurement(0.05, half=0.06)) == ["probe paraphrase"]
    assert broken_clauses(measurement(0.05, half=0.15), "weights") == []
    # Not compared with D_r: the rate itself is limited.
    assert broken_clauses(None) == broken_clauses(Measurement(0.0, None, None, 9)) == ["probe paraphrase"]
    assert broken(decide(replace(GOOD, **attacked(measurement(0.38))), None, LIMITS)) == []
    # A changed motion on a harmless prompt is no harm by itself, and has no limit.
    assert broken_clauses(measurement(0.9), "oversuppression") == []
    values = attacked(found, retrain=measurement(0.45, half=0.10), excess=measurement(0.05, half=0.03))
    decision = decide(replace(GOOD, **values), None, LIMITS)
    (clause,) = [clause for clause in decision.clauses if clause.name == "probe paraphrase"]
    wanted = {
        "mean": 0.5,
        "high": 0.6,
        "excess": 0.05,
        "excess_high": 0.08,
        "limit": 0.1,
        "original_mean": 0.9,
        "retrain_high": 0.55,
    }
    assert {name: clause.values[name] for name in wanted} == pytest.approx(wanted)
