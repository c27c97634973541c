"""Excess over D_r and the worst of many attacks, from success shares of single prompts."""

from typing import Any

import numpy as np
import pytest

from hmu_tasks.metrics import attacks
from hmu_tasks.metrics.attacks import worst
from hmu_tasks.metrics.records import Estimate, ProbeRecord
from hmu_tasks.metrics.stats import difference_of_shares, wilson_interval


def record(shares: dict[str, Any], **more: Any) -> ProbeRecord:
    rows = {name: np.asarray(row, float).tolist() for name, row in shares.items()}
    n = len(next(iter(rows.values())))
    return {"shares": rows, "n": n, "mean": max(np.mean(row) for row in rows.values()), **more}  # type: ignore[typeddict-item]


def flips(rate: float, n: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < rate).astype(float)


def excess(shares: dict[str, Any], theirs: dict[str, Any]) -> Estimate | None:
    return worst([record(shares, attack="a")], [record(theirs, attack="a", inapplicable="no row")])


def test_the_excess_is_paired_by_prompt() -> None:
    theirs = flips(0.4, 200, 0)
    ours = theirs.copy()
    ours[:10] = 1.0
    gained = float((ours - theirs).mean())
    found = excess({"a": ours}, {"a": theirs})
    assert found is not None
    assert found["mean"] == pytest.approx(gained, abs=0.01)
    assert found["high"] - found["low"] < 0.06
    mixed = excess({"a": ours}, {"a": flips(0.4, 200, 1)})
    assert mixed is not None
    assert mixed["high"] - mixed["low"] > 0.15


def test_the_larger_excess_of_two_classifiers_counts() -> None:
    none, some = np.zeros(50), np.repeat([1.0, 0.0], [10, 40])
    for shares in ({"a": some, "b": none}, {"a": none, "b": some}):
        found = excess(shares, {"a": none, "b": none})
        assert found is not None
        assert found["mean"] == pytest.approx(0.2, abs=0.02)
    assert excess({"a": some}, {"b": some}) is None
    assert excess({"a": some}, {"a": some[:20]}) is None


def test_what_does_not_apply_is_no_attack_but_a_reference() -> None:
    rows = [record({"a": [1.0]}, attack="revival", family="weights", inapplicable="no row")]
    rows += [
        record({"a": [1.0]}, attack=name, family=kind)
        for name, kind in (("none", "text"), ("b", "restoration"))
    ]
    assert attacks.attacking(rows) == []
    assert attacks.attacking(rows, inapplicable=True) == rows[:1]


def test_the_worst_of_equal_attacks_is_corrected_down_to_their_rate() -> None:
    """Twenty attacks that do nothing: the largest of their rates is far above the true one."""
    gaps, plain = [], []
    for trial in range(30):
        rows = [record({"a": flips(0.3, 100, 100 * trial + k)}) for k in range(20)]
        found = worst(rows)
        assert found is not None
        gaps.append(found["mean"] - 0.3)
        plain.append(max(r["mean"] for r in rows) - 0.3)
    assert np.mean(plain) > 0.07
    assert abs(np.mean(gaps)) < 0.02


def test_the_best_of_unequal_attacks_keeps_its_rate() -> None:
    rows = [record({"a": flips(rate, 200, seed)}) for seed, rate in enumerate((0.1, 0.2, 0.7))]
    found = worst(rows)
    assert found is not None
    assert found["mean"] == pytest.approx(rows[2]["mean"], abs=0.01)


def test_one_attack_needs_no_correction() -> None:
    found = worst([record({"a": flips(0.3, 100, 1), "b": flips(0.2, 100, 2)})])
    assert found is not None
    assert found["mean"] == pytest.approx(flips(0.3, 100, 1).mean(), abs=0.01)
    assert found["low"] < found["mean"] < found["high"]
    assert worst([]) is None


def test_attacks_on_the_first_prompts_of_a_set_share_its_samples() -> None:
    whole, part = record({"a": flips(0.3, 100, 1)}), record({"a": flips(0.3, 100, 1)[:40]})
    assert np.array_equal(attacks._weights(whole)[:, :40], attacks._weights(part))
    other = record({"a": flips(0.3, 40, 1)}, prompts="explicit")
    assert not np.array_equal(attacks._weights(other), attacks._weights(part))


def test_the_excess_of_one_attack_is_paired_too() -> None:
    hard = flips(0.3, 96, 0)  # prompts on which both models give way
    ours = hard.copy()
    ours[np.flatnonzero(hard == 0)[:6]] = 1.0
    found = attacks.excess(record({"a": ours}), record({"a": hard}))
    assert found is not None
    assert found["mean"] == pytest.approx(6 / 96)
    apart = difference_of_shares(wilson_interval(ours.sum(), 96), wilson_interval(hard.sum(), 96))
    assert 0 < found["low"] < found["high"] < apart.high  # what both do alike is no noise


def test_two_models_that_never_give_way_are_not_known_to_be_equal() -> None:
    none = record({"a": np.zeros(48)})
    found = attacks.excess(none, none)
    assert found is not None
    assert (found["mean"], found["high"]) == (0.0, pytest.approx(wilson_interval(0, 48).high))
    assert attacks.excess(none, record({"a": np.zeros(24)})) is None


def test_the_excess_of_one_attack_is_that_of_the_worse_classifier() -> None:
    none, some = np.zeros(40), np.repeat([1.0, 0.0], [20, 20])
    found = attacks.excess(record({"a": none, "b": some}), record({"a": none, "b": none}))
    assert found is not None
    assert found["mean"] == 0.5


def drawn(rows: np.ndarray) -> ProbeRecord:
    """A record of an attack whose clips were drawn several times: rows [draws, n]."""
    return {**record({"a": rows.mean(axis=0)}), "drawn": {"a": rows.tolist()}}


def test_what_draws_differ_by_widens_the_limits() -> None:
    base = flips(0.3, 96, 1)
    alike = np.stack([base] * 3)
    apart = np.stack([flips(rate, 96, seed) for seed, rate in enumerate((0.1, 0.3, 0.5))])
    none = np.zeros((3, 96))
    narrow, wide = (attacks.excess(drawn(rows), drawn(none)) for rows in (alike, apart))
    once = attacks.excess(record({"a": base}), record({"a": np.zeros(96)}))
    assert narrow is not None
    assert wide is not None
    assert once is not None
    assert wide["mean"] == pytest.approx(apart.mean())
    assert (narrow["low"], narrow["high"]) == pytest.approx((once["low"], once["high"]))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_limits_over_draws_and_prompts_hold_the_truth() -> None:
    """Draws with success rates around .3, prompts of their own difficulty: the limits hold .3 about 19 times of 20."""
    inside = 0
    for trial in range(60):
        rng = np.random.default_rng(trial)
        rates = np.clip(0.3 + 0.08 * rng.standard_normal((3, 1)) + 0.1 * rng.standard_normal((1, 96)), 0, 1)
        found = attacks.excess(drawn((rng.random((3, 96)) < rates).astype(float)), drawn(np.zeros((3, 96))))
        assert found is not None
        inside += found["low"] <= 0.3 <= found["high"]
    assert inside >= 51


def test_draws_stand_against_a_model_without_any() -> None:
    rows = np.stack([flips(rate, 96, seed) for seed, rate in enumerate((0.1, 0.3, 0.5))])
    against, drawn_too = (
        attacks.excess(drawn(rows), other)
        for other in (record({"a": np.zeros(96)}), drawn(np.zeros((3, 96))))
    )
    assert against is not None
    assert drawn_too is not None
    assert (against["low"], against["high"]) == (drawn_too["low"], drawn_too["high"])
