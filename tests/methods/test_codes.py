"""Code counts and scores: published tables, naive loop, scores whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmu_tasks.methods.shared.codes import (
    CodeUsage,
    count_codes,
    log_odds_z,
    perplexity,
    published_frequency,
    published_ratio,
    published_top,
    top_codes,
)


def published_usage(golden: np.lib.npyio.NpzFile, table: str) -> CodeUsage:
    forget, retain = golden[f"{table}_forget_codes"], golden[f"{table}_retain_codes"]
    codes = np.concatenate([forget, retain])[:, :, None]
    return count_codes(codes, np.arange(len(codes)) < len(forget), 512, lengths=np.full(len(codes), 49))


@pytest.mark.parity
@pytest.mark.parametrize("table", ["big", "tie"])
def test_tables_equal_official(shared: Path, table: str) -> None:
    golden = np.load(shared / "golden/g_lcr_tables.npz")
    usage = published_usage(golden, table)
    np.testing.assert_array_equal(usage.forget_clips[0], golden[f"{table}_forget_counts"])
    np.testing.assert_array_equal(usage.retain_clips[0], golden[f"{table}_retain_counts"])
    np.testing.assert_allclose(published_frequency(usage)[0], golden[f"{table}_freqs"], rtol=1e-12)
    np.testing.assert_allclose(published_ratio(usage)[0], golden[f"{table}_ratios"], rtol=1e-9)
    for codes in golden["ks"].tolist():
        found = published_top(usage, 0, codes)
        np.testing.assert_array_equal(found, golden[f"{table}_stable_top{codes}"])
        if not golden[f"{table}_tie_at_{codes}"]:
            np.testing.assert_array_equal(found, golden[f"{table}_top{codes}"])


def clips_of(seed: int, n: int, *, codes: int = 7, layers: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-1, codes, size=(rng.integers(0, 9), layers)) for _ in range(n)]


def padded(clips: list[np.ndarray], fill: int) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(clip) for clip in clips])
    table = np.full((len(clips), 9, clips[0].shape[1]), fill)
    for row, clip in zip(table, clips, strict=True):
        row[: len(clip)] = clip
    return table, lengths


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_equal_to_a_loop_and_blind_to_padding(seed: int, n: int, fill: int) -> None:
    clips = clips_of(seed, n)
    forget = np.random.default_rng(seed).random(n) < 0.4
    usage = count_codes(clips, forget, 7)
    table, lengths = padded(clips, fill)
    other = count_codes(table, forget, 7, lengths=lengths)
    expected = np.zeros((4, 3, 7), dtype=np.int64)
    for clip, hit in zip(clips, forget, strict=True):
        for layer in range(3):
            for code in clip[:, layer][clip[:, layer] >= 0]:
                expected[2 if hit else 3, layer, code] += 1
            for code in {int(c) for c in clip[:, layer] if c >= 0}:
                expected[0 if hit else 1, layer, code] += 1
    for name, values in zip(
        ("forget_clips", "retain_clips", "forget_count", "retain_count"), expected, strict=True
    ):
        np.testing.assert_array_equal(getattr(usage, name), values)
        np.testing.assert_array_equal(getattr(other, name), values)
    assert usage.forget + usage.retain == n


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="need the lengths"):
        count_codes(np.zeros((2, 3, 1), dtype=int), [True, False], 4)
    with pytest.raises(ValueError, match="lengths must be"):
        count_codes(np.zeros((2, 3, 1), dtype=int), [True, False], 4, lengths=[3, 4])
    with pytest.raises(ValueError, match="lies outside the 4 codes"):
        count_codes([np.array([[4]])], [True], 4)
    with pytest.raises(ValueError, match="forget marks"):
        count_codes([np.array([[1]])], [True, False], 4)
    with pytest.raises(ValueError, match="non-empty"):
        count_codes([], [], 4)


def usage_of(forget: list[int], retain: list[int]) -> CodeUsage:
    ours, theirs = np.array([forget]), np.array([retain])
    return CodeUsage(ours, theirs, ours, theirs, forget=max(forget), retain=max(retain))


def test_log_odds_trusts_counts_more_than_ratios() -> None:
    # Code 0 is seen once and only in forget: an endless ratio, but little evidence. Code 1 has both.
    usage = usage_of([1, 90, 50, 100], [0, 10, 500, 1000])
    assert int(published_ratio(usage)[0].argmax()) == 0
    assert int(log_odds_z(usage)[0].argmax()) == 1


def test_log_odds_changes_sign_with_the_sets() -> None:
    ours, theirs = [5, 40, 0, 12], [9, 30, 2, 0]
    np.testing.assert_allclose(log_odds_z(usage_of(ours, theirs)), -log_odds_z(usage_of(theirs, ours)))
    np.testing.assert_allclose(log_odds_z(usage_of([3, 6, 9, 0], [3, 6, 9, 0])), 0.0, atol=1e-12)
    assert np.isfinite(log_odds_z(usage_of([0, 1, 0, 0], [0, 0, 0, 0]))).all()
    with pytest.raises(ValueError, match="must be positive"):
        log_odds_z(usage_of(ours, theirs), prior=0.0)


def test_empty_forget_set_gives_finite_scores() -> None:
    usage = count_codes([np.array([[1], [2]])], [False], 4)
    assert np.isfinite(published_ratio(usage)).all()
    assert np.isfinite(log_odds_z(usage)).all()


def test_perplexity() -> None:
    np.testing.assert_allclose(perplexity([[5, 5, 5, 5], [9, 0, 0, 0], [0, 0, 0, 0]]), [4.0, 1.0, 0.0])


def test_top_codes_prefer_the_smaller_index_on_ties() -> None:
    assert top_codes([1.0, 3.0, 3.0, 2.0], 3).tolist() == [1, 2, 3]
    assert top_codes([1.0, 1.0, 1.0], 2).tolist() == [0, 1]
