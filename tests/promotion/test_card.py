"""The model card says what was removed, what is left as a risk, and how to make the bundle again."""

from dataclasses import replace

from test_gate import GOOD, LIMITS, figure

from hmu_tasks.promotion.card import DESCRIPTION_LIMIT, Origin, card_text, description
from hmu_tasks.promotion.gate import decide


def test_the_card_has_every_part() -> None:
    evidence = replace(
        GOOD, probes={"paraphrase": figure(0.1, 0.1, half=0.05)}, gold={"retain/r1": figure(0.77, 0.78)}
    )
    decision = decide(evidence, None, LIMITS)
    text = card_text(evidence, decision, Origin("c0ffee", False, {"data/clips": "abc.dir"}))
    for heading in (
        "What was removed, and how well",
        "What was kept",
        "Residual risk",
        "Intended use",
        "Limits",
        "Gate",
        "Licence",
        "How to make it again",
    ):
        assert f"\n## {heading}\n" in text
    assert "| attack paraphrase brings it back | 10%, up to 15% (95 %) | n = 400 |" in text
    assert "| forget | violence rate, floor-corrected | 0.21 ±0.02 | – | – | 400 |" in text
    assert "git checkout c0ffee\ndvc repro register@momask-lcr" in text
    assert "| data/clips | `abc.dir` |" in text
    assert "**Gate: passed.**" in text
    assert text == card_text(evidence, decision, Origin("c0ffee", False, {"data/clips": "abc.dir"}))


def test_a_refusal_stands_at_the_top() -> None:
    decision = decide(replace(GOOD, contracts=False), None, LIMITS)
    text = card_text(GOOD, decision)
    assert "**Gate: FAILED.**" in text
    assert text.index("data contracts: a data contract is broken") < text.index("## What was removed")
    assert "no probe was run" in text
    assert "git checkout" not in text


def test_uncommitted_changes_are_admitted() -> None:
    text = card_text(GOOD, decide(GOOD, None, LIMITS), Origin("c0ffee", True, {}))
    assert "the commit alone does not suffice" in text


def test_the_description_fits_mlflow() -> None:
    named = {f"attack {number:03d}": figure(0.1, 0.1) for number in range(200)}
    evidence = replace(GOOD, probes=named)
    decision = decide(evidence, None, LIMITS)
    assert len(description(evidence, decision)) <= DESCRIPTION_LIMIT
    assert "## Intended use" not in description(GOOD, decide(GOOD, None, LIMITS))
