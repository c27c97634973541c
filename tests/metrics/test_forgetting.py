"""Masking, MM-Safe, violence rates, gap closure."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmu_tasks.metrics.forgetting import (
    floor_corrected,
    gap_closure,
    mask_tokens,
    masked_distances,
    safe_distances,
)


@pytest.mark.parity
def test_published_masking_and_distances_equal_official(shared: Path) -> None:
    golden = np.load(shared / "golden/f_hmu_eval.npz")
    text, made, safe = (np.concatenate([golden[f"{k}{i}"] for i in range(3)]) for k in ("et", "ep", "ec"))
    tokens = [str(row) for i in range(3) for row in golden[f"tokens{i}"]]
    terms = [str(term) for term in golden["toxic_terms"]]
    masked = [mask_tokens(row, terms, rule="substring") for row in tokens]
    assert masked[:32] == [str(row) for row in golden["tokens0_masked"]]
    for changed, name in (
        ([a != b for a, b in zip(tokens, masked, strict=True)], "result"),
        (np.ones(75, dtype=bool), "result_empty_toxic"),
    ):
        found = safe_distances(text, safe, made, changed, published=True)
        assert found is not None
        assert found.mm_safe == pytest.approx(float(golden[f"{name}_MM-Safe"]), rel=1e-6)
        assert found.toxic_distance == pytest.approx(float(golden[f"{name}_toxic_distance"]), rel=1e-6)
        assert found.notox_accuracy == pytest.approx(float(golden[f"{name}_notox_accuracy"]))


def test_honest_distances_do_not_depend_on_clean_prompts() -> None:
    rng = np.random.default_rng(0)
    text, safe, made = rng.standard_normal((3, 64, 8))
    changed = np.arange(64) < 10
    honest = safe_distances(text, safe, made, changed)
    assert honest == safe_distances(text[:10], safe[:10], made[:10], changed[:10])
    assert honest is not None
    assert honest.n == 10
    assert safe_distances(text, safe, made, np.zeros(64, dtype=bool)) is None
    released = safe_distances(text, safe, made, np.zeros(64, dtype=bool), published=True)
    assert released is not None
    assert released.mm_safe == 0.0


def test_masked_distances_by_hand() -> None:
    text, safe, made = (
        np.array([[0.0, 0.0], [0.0, 0.0]]),
        np.array([[6.0, 8.0], [3.0, 4.0]]),
        np.array([[3.0, 4.0]] * 2),
    )
    found = masked_distances(text, safe, made)
    assert found.own.tolist() == [5.0, 5.0]
    assert found.safe.tolist() == [5.0, 0.0]
    assert found.ratio.tolist() == [1.0, 1.0]
    assert found.nearer.tolist() == [False, True]
    assert masked_distances(text, 2 * safe, made).ratio == pytest.approx([5 / np.hypot(9, 12), 1.0])


def test_motion_equal_to_the_masked_text_gives_no_infinity() -> None:
    x = np.ones((2, 3))
    found = safe_distances(x, x, x, [True, True])
    assert found is not None
    assert (found.mm_safe, found.toxic_distance, found.notox_accuracy) == (0.0, 1.0, 0.0)


def test_word_masking_spares_look_alikes() -> None:
    assert mask_tokens("white/ADJ man/NOUN hit/VERB", ["hit"]) == "white/ADJ man/NOUN ***/VERB"
    assert mask_tokens("white/ADJ hit/VERB", ["hit"], rule="substring") == "w***e/ADJ ***/VERB"
    assert mask_tokens("He Kicks, kicking high.", ["kick"]) == "He Kicks, kicking high."
    lemma = {"kicks": "kick", "kicking": "kick"}
    found = mask_tokens("He Kicks, kicking high.", ["kick"], lemma=lambda word: lemma.get(word, word))
    assert found == "He ***, *** high."
    assert mask_tokens("verb/VERB", ["verb"]) == "***/VERB"
    with pytest.raises(ValueError, match="at least one keyword"):
        mask_tokens("a/DET", [])


def test_rates() -> None:
    assert floor_corrected(0.55, 0.1) == pytest.approx(0.5)
    assert floor_corrected(0.05, 0.1) == pytest.approx(-0.05 / 0.9)  # not cut off: repeats average to no bias
    with pytest.raises(ValueError, match="below 1"):
        floor_corrected(0.5, 1.0)


@given(st.floats(0, 1), st.floats(0, 0.99))
def test_floor_correction_inverts_false_alarms(true: float, floor: float) -> None:
    assert floor_corrected(min(1.0, true + (1 - true) * floor), floor) == pytest.approx(true, abs=1e-9)


def test_gap_closure_of_the_ends() -> None:
    original, retrain = [0.70, 0.72, 0.71], [0.10, 0.11, 0.09]
    for value, expected in ((original, 0.0), (retrain, 1.0)):
        found = gap_closure(value, original, retrain)
        assert found.defined
        assert found.value == pytest.approx(expected)
        assert found.low == pytest.approx(expected, abs=1e-6)
        assert found.high == pytest.approx(expected, abs=1e-6)


def test_gap_that_is_noise_is_not_defined() -> None:
    found = gap_closure([0.5, 0.4, 0.6], [0.70, 0.72, 0.71], [0.71, 0.70, 0.73])
    assert not found.defined
    assert (found.value, found.low, found.high) == (None, None, None)
    assert not gap_closure([1.0], [2.0], [2.0]).defined


def test_one_repeat_has_no_interval() -> None:
    found = gap_closure([0.3], [0.7], [0.1])
    assert found.defined
    assert found.value == pytest.approx(2 / 3)
    assert found.low is None


@pytest.mark.parametrize("paired", [True, False])
def test_fieller_interval_covers_the_truth(paired: bool) -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        shared_noise = rng.normal(0, 0.03, 5) * paired
        value, original, retrain = (
            level + shared_noise + rng.normal(0, 0.03, 5) for level in (0.3, 0.7, 0.1)
        )
        found = gap_closure(value, original, retrain, paired=paired)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 2 / 3 <= found.high
    assert 0.91 <= hits / 300 <= 1.0


def test_bootstrap_takes_over_with_many_repeats() -> None:
    rng = np.random.default_rng(1)
    value, original, retrain = (level + rng.normal(0, 0.02, 20) for level in (0.3, 0.7, 0.1))
    fieller = gap_closure(value, original, retrain)
    boot = gap_closure(value, original, retrain, rng=np.random.default_rng(2))
    assert (fieller.reason, boot.reason) == ("fieller", "bootstrap over repeats")
    assert boot.low == pytest.approx(fieller.low, abs=0.01)
    assert boot.high == pytest.approx(fieller.high, abs=0.01)
    with pytest.raises(ValueError, match="equal repeats"):
        gap_closure(value, original[:3], retrain)
