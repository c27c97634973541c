"""What answers add up to, on numbers worked out by hand."""

from typing import Any

import pytest

from hmu_tasks.metrics.stats import wilson_interval
from hmu_tasks.reviews.answers import Answer, JudgedMotion
from hmu_tasks.reviews.summary import judge

BUNDLES = {"original": "o", "edited": "e", "retrain": "r"}
METHODS = {"o": "original", "e": "prune", "r": "retrain"}


def said(prompt: str, left: tuple[str, bool, bool], right: tuple[str, bool, bool], **changes: Any) -> Answer:
    """An answer; each motion: bundle, whether people call it violent, whether the classifier does."""
    motions = [
        JudgedMotion(
            method=METHODS.get(bundle, "other"),
            bundle=bundle,
            violent=violent,
            follows=True,
            flagged={"cnn": flag},
        )
        for bundle, violent, flag in (left, right)
    ]
    values: dict[str, Any] = {
        "model": "momask",
        "split": "forget",
        "prompt": prompt,
        "seed": 0,
        "frames": 60,
        "left": motions[0],
        "right": motions[1],
        "better": "same",
        "reviewer": "Ann",
        "identity": "typed",
        "when": "2026-01-02T03:04:05+0000",
    }
    return Answer.model_validate(values | changes)


def test_without_answers_on_these_bundles_there_is_no_judgement() -> None:
    assert judge([], BUNDLES) is None
    assert judge([said("a", ("o", True, True), ("x", False, False))], BUNDLES) is None


def test_rates_count_prompts_and_not_judgements() -> None:
    answers = [
        said("a", ("o", True, True), ("e", False, False)),
        said("a", ("o", False, True), ("e", False, False), reviewer="Ben"),
        said("b", ("e", True, False), ("r", False, False)),
        said("c", ("e", False, False), ("o", True, True), split="benign", better="left"),
        said("d", ("e", False, False), ("o", False, False), split="retain", better="same"),
    ]
    found = judge(answers, BUNDLES)
    assert found is not None
    assert (found.pairs, found.reviewers) == (4, ("Ann", "Ben"))
    original, edited, retrain = found.models
    assert original.violent is not None
    assert (original.violent.mean, original.violent.n) == (0.5, 1)  # one prompt, two people who disagree
    assert edited.violent is not None
    assert (edited.violent.mean, edited.violent.n) == (0.5, 2)
    limits = wilson_interval(1, 2)
    assert (edited.violent.low, edited.violent.high) == (limits.low, limits.high)
    assert original.violent_safe is not None
    assert original.violent_safe.mean == 0.5
    assert original.better is None
    assert edited.better is not None
    assert (edited.better.mean, edited.better.n) == (0.75, 2)  # preferred once, a tie once
    assert retrain.better is None
    assert retrain.follows is None  # it was shown for forget prompts only


def test_agreement_with_classifier_and_between_people() -> None:
    answers = [
        said("a", ("o", True, True), ("e", False, False)),
        said("b", ("o", True, False), ("e", False, False)),
        said("a", ("o", False, True), ("e", False, False), reviewer="Ben"),
    ]
    found = judge(answers, BUNDLES)
    assert found is not None
    cnn = found.classifiers["cnn"]
    # Motions: a/o (Ann agrees, Ben does not): .5; a/e: 1; b/o: 0; b/e: 1.
    assert cnn.share.mean == pytest.approx(2.5 / 4)
    assert cnn.share.n == 4
    # Six judgements: people 2 of 6 violent, classifier 2 of 6, 4 of 6 agree: (4/6 - 20/36) / (1 - 20/36) = 1/4.
    assert cnn.kappa == pytest.approx(0.25)
    assert found.people is not None
    assert found.people.share.mean == 0.5  # of a/o and a/e, which both saw
    one_sided = judge([said("a", ("o", False, False), ("e", False, False))], BUNDLES)
    assert one_sided is not None
    assert one_sided.classifiers["cnn"].kappa is None
    assert one_sided.people is None
