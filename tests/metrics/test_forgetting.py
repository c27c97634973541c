"""Masking, MM-Safe, the floor correction."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmu_tasks.metrics import metric
from hmu_tasks.metrics.forgetting import floor_corrected, mask_tokens, masked_distances, whole_batches
from hmu_tasks.metrics.inputs import Embedded, Masked, Motions


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
        far, marks = masked_distances(text, safe, made), whole_batches(np.array(changed), 32)
        rows = metric("mm_safe_published").compute(embedded(text, safe, made, np.array(changed)))
        assert rows.mean() == pytest.approx(float(golden[f"{name}_MM-Safe"]), rel=1e-6)
        toxic, nearer = (np.where(marks, one, 0.0).mean() for one in (far.ratio, far.nearer))
        assert toxic == pytest.approx(float(golden[f"{name}_toxic_distance"]), rel=1e-6)
        assert nearer == pytest.approx(float(golden[f"{name}_notox_accuracy"]))


def embedded(text: np.ndarray, safe: np.ndarray, made: np.ndarray, changed: np.ndarray) -> Embedded:
    masked = Masked(safe, changed)
    return Embedded(made, len(made), 0, 32, 300, text=text, masked=masked, masked_as_released=masked)


def test_honest_distances_do_not_depend_on_clean_prompts() -> None:
    text, safe, made = np.random.default_rng(0).standard_normal((3, 64, 8))
    changed = np.arange(64) < 10
    honest = metric("mm_safe").compute(embedded(text, safe, made, changed))
    assert np.isfinite(honest).sum() == 10
    alone = metric("mm_safe").compute(embedded(text[:10], safe[:10], made[:10], changed[:10]))
    assert np.nanmean(honest) == alone.mean()
    nothing = embedded(text, safe, made, np.zeros(64, dtype=bool))
    assert metric("mm_safe_published").compute(nothing).tolist() == [0.0] * 64


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
    found = masked_distances(x, x, x)
    assert (found.safe.sum(), found.ratio.tolist(), found.nearer.tolist()) == (
        0.0,
        [1.0, 1.0],
        [False, False],
    )


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


def test_no_rate_is_negative() -> None:
    assert floor_corrected([0.55, 0.05, 0.7], [0.1, 0.1, 1.0]) == pytest.approx([0.5, 0.0, 0.0])


@given(st.floats(0, 1), st.floats(0, 0.99))
def test_floor_correction_inverts_false_alarms(true: float, floor: float) -> None:
    assert floor_corrected(min(1.0, true + (1 - true) * floor), floor) == pytest.approx(true, abs=1e-9)


def test_each_classifier_has_a_rate_of_its_own() -> None:
    flags = {"convolution": np.array([True, False]), "recurrent": np.array([True, True])}
    both, one, none = (
        Motions([], 20.0, (0, 1), 0.0, found) for found in (flags, {"convolution": flags["convolution"]}, {})
    )
    assert metric("violence").compute(both).tolist() == [1.0, 0.0]
    assert metric("violence_second").compute(both).tolist() == [1.0, 1.0]
    assert metric("violence").compute(one).tolist() == [1.0, 0.0]
    assert metric("violence_second").compute(one) is None
    assert metric("violence").compute(none) is None
