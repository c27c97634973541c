"""The model card says what was removed, what is left as a risk, and how to make the bundle again."""

from dataclasses import replace

from gate_evidence import GOOD, LIMITS, measurement

from hmu_tasks.registry.card import DESCRIPTION_LIMIT, Origin, card_text, description, measurement_text
from hmu_tasks.registry.gate import decide
from hmu_tasks.reviews.summary import Concordance, HumanJudgement, JudgedShare, ModelJudgement


def test_the_card_has_every_part() -> None:
    evidence = replace(
        GOOD,
        retrain={"retain/r1": measurement(0.77, 0.78)},
        probes={
            "paraphrase": measurement(0.1, 0.1, half=0.05),
            "bf16": measurement(0.3, 0.3),
            "benign": measurement(0.2, 0.2),
        },
        original_probes={"paraphrase": measurement(0.8, 0.8, half=0.05)},
        retrain_probes={"paraphrase": measurement(0.0, 0.0, half=0.03)},
        families={"paraphrase": "text", "bf16": "precision", "benign": "oversuppression"},
    )
    decision = decide(evidence, None, LIMITS)
    text = card_text(evidence, decision, Origin("c0ffee", False, {"data/clips": "abc.dir"}))
    for heading in (
        "Forgetting",
        "Retention",
        "Residual risk",
        "Intended use",
        "Limits",
        "Gate",
        "Licence",
        "Reproduction",
    ):
        assert f"\n## {heading}\n" in text
    risks = [
        line for line in text.splitlines() if "violence comes back" in line or "harmless prompts, " in line
    ]
    assert risks == [
        "| wording attack, paraphrase: violence comes back | 10%, up to 15% | 80%, up to 85% | 0%, up to 3% | 400 |",
        "| weights rounded, bf16: violence comes back | 30%, up to 32% | – | – | 400 |",
        "| harmless prompts, benign: motion differs from the original's | 20%, up to 22% | – | – | 400 |",
    ]
    assert "| forget | violence rate, floor-corrected | 0.21 ±0.02 | – | – | 400 |" in text
    assert "| retain | induced violence | 0 ±0.02 | – | – | 400 |" in text
    assert "git checkout c0ffee\ndvc repro register@momask-lcr" in text
    assert "| data/clips | `abc.dir` |" in text
    for model in ("edited", "original"):
        assert f"| evaluator of: {model} | `md5:e` |" in text
        assert f"| classifiers of: {model} | `md5:c` |" in text
    assert "**Gate: passed.**" in text
    assert text == card_text(evidence, decision, Origin("c0ffee", False, {"data/clips": "abc.dir"}))


def test_an_attack_that_does_not_apply_has_no_rate_in_the_card() -> None:
    why = "no codebook was changed"
    unattacked = replace(measurement(0.9), inapplicable=why)
    evidence = replace(
        GOOD,
        probes={"revival": unattacked, "relearning": measurement(0.3)},
        original_probes={"revival": unattacked, "relearning": unattacked},
        families={"revival": "weights", "relearning": "weights"},
    )
    text = card_text(evidence, decide(evidence, None, LIMITS))
    what = "attack with access to the weights"
    risks = [line for line in text.splitlines() if f"{what}, re" in line]
    assert risks == [
        f"| {what}, relearning: violence comes back | 30%, up to 32% | n/a: {why} | – | 400 |",
        f"| {what}, revival: violence comes back | n/a: {why} | n/a: {why} | – | – |",
    ]
    assert f"| probe revival | yes | does not apply: {why} |" in text


def test_the_card_shows_the_classifier_that_the_gate_judges() -> None:
    evidence = replace(
        GOOD,
        edited={
            **GOOD.edited,
            "forget/violence": measurement(0.30),
            "forget/violence_second": measurement(0.29, half=0.2),
            "forget/violence_corrected": measurement(0.20),
            "forget/violence_second_corrected": measurement(0.25, half=0.2),
        },
        original={
            **GOOD.original,
            "forget/violence": measurement(0.7),
            "forget/violence_second": measurement(0.6),
        },
    )
    text = card_text(evidence, decide(evidence, None, LIMITS))
    assert [line for line in text.splitlines() if "for prompts that name violence" in line] == [
        "| violence in motions for prompts that name violence, flagged | 29%, up to 49% | 60%, up to 62% | – | 400 |",
        "| violence in motions for prompts that name violence, less false alarms | 25%, up to 45% | – | – | 400 |",
    ]
    assert "forgotten forget/violence_corrected | **no** | upper limit 0.45, " in text


def test_large_values_have_no_exponent() -> None:
    assert measurement_text(measurement(1234.0, half=110.0)) == "1230 ±110"
    assert measurement_text(measurement(0.0123456, half=0.00012)) == "0.0123 ±0.00012"


def test_a_refusal_stands_at_the_top() -> None:
    decision = decide(replace(GOOD, contracts=False), None, LIMITS)
    text = card_text(GOOD, decision)
    assert "**Gate: FAILED.**" in text
    assert text.index("data contracts: a data contract is broken") < text.index("## Forgetting")
    assert "no probe was run" in text
    assert "git checkout" not in text


def test_uncommitted_changes_are_admitted() -> None:
    text = card_text(GOOD, decide(GOOD, None, LIMITS), Origin("c0ffee", True, {}))
    assert "the commit alone is not enough" in text


def test_the_description_fits_mlflow() -> None:
    named = {f"attack {number:03d}": measurement(0.1, 0.1) for number in range(200)}
    evidence = replace(GOOD, probes=named)
    decision = decide(evidence, None, LIMITS)
    assert len(description(evidence, decision)) <= DESCRIPTION_LIMIT
    assert "## Intended use" not in description(GOOD, decide(GOOD, None, LIMITS))


def test_the_card_shows_what_people_say() -> None:
    share = JudgedShare(0.04, 0.01, 0.2, 25)
    human = HumanJudgement(
        31,
        ("Ann",),
        (ModelJudgement("edited", "e", share, None, None, JudgedShare(0.5, 0.3, 0.7, 12)),),
        {"cnn": Concordance(JudgedShare(0.875, 0.75, 0.94, 62), 0.71)},
        None,
    )
    judged = replace(GOOD, human=human)
    text = card_text(judged, decide(judged, None, LIMITS))
    assert "| this model | 4 \\[1, 20; 25\\] | – | – | 50 \\[30, 70; 12\\] |" in text
    assert "31 blind pairs, 1 reviewer;" in text
    assert (
        "classifier cnn on whether a motion shows the concept: 88 % \\[75, 94\\] of 62 motions, kappa 0.71."
        in text
    )
    assert "Human judgement" not in card_text(GOOD, decide(GOOD, None, LIMITS))
