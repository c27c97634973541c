"""What follows from records of several models: correction, induced violence, losses, gap closures, pools."""

from typing import Any

import numpy as np
import pytest

from hmu_tasks.metrics.bootstrap import limits
from hmu_tasks.metrics.comparisons import (
    CLASSIFIERS,
    CLOSURE,
    LOSS,
    classifiers_of,
    gap_closure,
    pool,
    with_comparisons,
)
from hmu_tasks.metrics.stats import wilson_interval

NOISE = np.random.default_rng(0).standard_normal(400)


def record(
    method: str, split: str, metric: str, mean: float, spread: float = 0.01, **more: Any
) -> dict[str, Any]:
    replicates = mean + spread * NOISE
    low, high = limits(replicates) or (0.0, 0.0)
    return {
        "model": "m",
        "method": method,
        "edit": "s0",
        "strength": None if method in ("original", "retrain") else 8,
        "split": split,
        "metric": metric,
        "mean": mean,
        "low": low,
        "high": high,
        "interval": "bootstrap",
        "n": 100,
        "repeats": 3,
        "values": [mean] * 3,
        "replicates": replicates,
        **more,
    }


def world(edit: float, harmless: float = 0.1) -> list[dict[str, Any]]:
    """Flagged rates: the original 0.7, D_r 0.2, an edit; 0.1 of the original's harmless motions are flagged."""
    return [
        record("original", "forget", "violence", 0.7),
        record("retrain", "forget", "violence", 0.2),
        record("original", "retain", "violence", 0.1),
        record("original", "retain", "r1", 0.8),
        record("lcr", "forget", "violence", edit),
        record("lcr", "retain", "violence", harmless),
        record("lcr", "retain", "r1", 0.75),
    ]


def named(rows: list[dict[str, Any]], metric: str, method: str = "lcr") -> dict[str, Any]:
    (found,) = (row for row in with_comparisons(rows) if (row["metric"], row["method"]) == (metric, method))
    return found


def test_the_floor_is_the_originals_whatever_the_edit_does_to_harmless_prompts() -> None:
    calm, wild = (named(world(0.2, harmless), "violence_corrected") for harmless in (0.1, 0.6))
    assert calm["mean"] == wild["mean"] == pytest.approx((0.2 - 0.1) / 0.9)
    assert named(world(0.2), "violence_corrected", "retrain")["mean"] == calm["mean"]
    assert named(world(0.2), "violence_corrected", "original")["mean"] == pytest.approx(0.6 / 0.9)
    assert named(world(0.2, 0.6), "induced")["mean"] == pytest.approx(0.5)


def test_no_rate_is_negative() -> None:
    found = named(world(0.05), "violence_corrected")
    assert (found["mean"], found["low"]) == (0.0, 0.0)
    assert (found["replicates"] >= 0).all()


def test_a_closure_is_capped_and_keeps_what_it_was() -> None:
    found = named(world(0.07), CLOSURE + "violence")
    assert found["mean"] == found["high"] == 1.0
    assert found["uncapped"] == pytest.approx(0.63 / 0.5)
    half = named(world(0.45), CLOSURE + "violence")
    assert half["mean"] == half["uncapped"] == pytest.approx(0.5)
    pooled = pool([found, half])
    assert pooled.mean == pytest.approx((1.26 + 0.5) / 2)
    assert pooled.capped(0.6).mean == 0.6


def test_replicates_are_paired() -> None:
    # All three models share their noise, so that numerator and denominator of the ratio have none.
    half = named(world(0.45), CLOSURE + "violence")
    assert (half["low"], half["high"]) == pytest.approx((0.5, 0.5))
    loss = named(world(0.45), LOSS + "r1")
    assert (loss["mean"], loss["low"], loss["high"]) == pytest.approx((0.05, 0.05, 0.05))


def test_a_gap_within_the_noise_is_not_closed() -> None:
    rows = [
        record("original", "forget", "fid", 1.0),
        record("retrain", "forget", "fid", 1.05, replicates=1.05 + 0.1 * np.roll(NOISE, 1)),
        record("lcr", "forget", "fid", 1.02),
    ]
    assert len(with_comparisons(rows)) == 3
    closed = gap_closure(*(pool([row]) for row in (rows[2], rows[0], rows[1])))
    assert (closed.value, closed.reason) == (None, "original and D_r do not differ beyond the noise")


def test_shares_of_nothing_are_not_sure_to_be_equal() -> None:
    sure = wilson_interval(0, 40)
    nothing = {"low": sure.low, "high": sure.high, "interval": "wilson", "replicates": np.zeros(400)}
    rows = [record(method, "benign", "violence", 0.0, **nothing) for method in ("original", "lcr")]
    found = named(rows, "induced")
    assert (found["mean"], found["interval"]) == (0.0, "newcombe")
    assert found["high"] == -found["low"] == sure.high
    rows = [record("original", "retain", "violence", 0.0, **nothing)]
    rows += [record("lcr", "forget", "violence", 0.0, **nothing)]
    assert named(rows, "violence_corrected")["high"] == sure.high


def test_the_floor_is_of_the_same_kind_of_split() -> None:
    rows = [
        record("original", "retain", "violence", 0.1),
        record("original", "retain-val", "violence", 0.3),
        record("original", "benign", "violence", 0.2),
        record("lcr", "forget-val", "violence", 0.5),
        record("lcr", "implicit", "violence", 0.5),
    ]
    found = {
        row["split"]: row["mean"] for row in with_comparisons(rows) if row["metric"] == "violence_corrected"
    }
    assert found == pytest.approx({"forget-val": 0.2 / 0.7, "implicit": 0.3 / 0.8})


def test_the_second_classifier_is_derived_as_the_first() -> None:
    rows = world(0.2)
    second = [{**row, "metric": "violence_second"} for row in rows if row["metric"] == "violence"]
    assert classifiers_of(rows) == CLASSIFIERS[:1]
    assert classifiers_of([*rows, *second]) == CLASSIFIERS
    for one, other in (("violence_corrected", "violence_second_corrected"), ("induced", "induced_second")):
        assert named(second, other)["mean"] == named(rows, one)["mean"]
    assert named(second, CLOSURE + "violence_second")["mean"] == pytest.approx(1.0)


def test_edits_are_pooled_with_the_spread_between_them() -> None:
    rows = [record("lcr", "forget", "violence", mean) for mean in (0.1, 0.3)]
    found = pool(rows)
    assert found.mean == pytest.approx(0.2)
    assert found.error == pytest.approx(0.1, rel=0.15)
    alone = pool(rows[:1])
    assert (alone.low, alone.high) == (rows[0]["low"], rows[0]["high"])
    for row in rows:
        del row["replicates"]
    assert pool(rows).low is None
