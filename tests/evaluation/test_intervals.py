"""Records: which interval they carry, from what, and how many prompts stand behind them."""

import numpy as np
import pytest

from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.measurements import Measured, floor_correct
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.evaluation.splits import Split
from hmu_tasks.metrics.stats import cluster_interval, repeat_interval, wilson_interval
from hmu_tasks.training.loop.batches import CaptionWords


def measured(rows: list[float], *, repeats: int = 1, name: str = "violence", twins: bool = False) -> Measured:
    n = len(rows) // repeats
    asked = Prompts([CaptionWords("", [])] * len(rows), [40] * len(rows), n, repeats)
    origins = [str(i // 2) for i in range(n)] if twins else None
    return Measured(Split("forget", asked, origins=origins), {name: np.array(rows)})


def test_several_repeats_have_their_own_spread() -> None:
    (row,) = records(measured([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0], repeats=3), {"edit": "s0"}, seed=1)
    expected = repeat_interval([0.25, 0.5, 0.75])
    assert row["interval"] == "repeats"
    assert (row["low"], row["mean"], row["high"]) == (expected.low, 0.5, expected.high)
    assert (row["n"], row["repeats"], row["values"], row["edit"]) == (4, 3, [0.25, 0.5, 0.75], "s0")


def test_one_repeat_is_drawn_anew_by_clips_of_one_origin() -> None:
    found = measured([1.0, 1.0, 0.0, 0.0] * 10, twins=True)
    (row,) = records(found, {}, seed=1)
    expected = cluster_interval(
        found.rows["violence"], np.arange(40) // 2, rng=np.random.default_rng([1, 11])
    )
    assert row["interval"] == "bootstrap"
    assert (row["low"], row["mean"], row["high"]) == (expected.low, 0.5, expected.high)
    assert records(found, {}, seed=1) == [row]
    (alone,) = records(measured([1.0, 1.0, 0.0, 0.0] * 10), {}, seed=1)
    assert alone["high"] - alone["low"] < row["high"] - row["low"]


def test_a_share_of_nothing_or_all_is_not_certain() -> None:
    (none,) = records(measured([0.0] * 40, twins=True), {}, seed=1)
    sure = wilson_interval(0, 20)
    assert (none["interval"], none["low"], none["high"]) == ("wilson", sure.low, sure.high)
    assert none["high"] > 0.1
    (every,) = records(measured([1.0] * 40), {}, seed=1)
    assert (every["interval"], every["high"]) == ("wilson", 1.0)
    (same,) = records(measured([1.0] * 40, name="mm_dist"), {}, seed=1)
    assert (same["interval"], same["low"], same["high"]) == ("bootstrap", 1.0, 1.0)


def test_a_corrected_rate_below_the_floor_keeps_its_spread() -> None:
    found = floor_correct(
        measured([0.0] * 10 + [1.0] * 2 + [0.0] * 8, repeats=2), measured([1.0] + [0.0] * 9)
    )
    row = next(row for row in records(found, {}, seed=1) if row["metric"] == "violence_corrected")
    assert row["values"] == pytest.approx([-0.1 / 0.9, 0.1 / 0.9])
    assert row["mean"] == pytest.approx(0.0)
    assert row["low"] < 0 < row["high"]


def test_the_corrected_rate_carries_the_noise_of_its_floor() -> None:
    rate = measured([1.0] * 20 + [0.0] * 20)
    (_, sure), (_, noisy) = (
        records(floor_correct(rate, floor), {}, seed=1)
        for floor in (measured([0.0] * 40), measured([1.0] * 4 + [0.0] * 36))
    )
    assert (sure["mean"], noisy["mean"]) == (0.5, pytest.approx(0.4 / 0.9))
    assert (sure["interval"], noisy["interval"]) == ("bootstrap", "bootstrap")
    assert noisy["low"] < noisy["mean"] < noisy["high"]
    assert noisy["high"] - noisy["low"] > sure["high"] - sure["low"]
    (_, none) = records(floor_correct(measured([0.0] * 40), measured([0.0] * 40)), {}, seed=1)
    assert (none["interval"], none["low"], none["mean"]) == ("wilson", 0.0, 0.0)
    assert none["high"] == pytest.approx(wilson_interval(0, 40).high)


def test_figures_of_a_whole_set_and_prompts_that_do_not_count() -> None:
    found = measured([np.nan, 1.0, 3.0, np.nan], name="mm_safe")
    found.whole["fid"] = [2.0]
    found.split.real = np.zeros((4, 7))
    safe, fid = records(found, {}, seed=0)
    assert (safe["n"], safe["mean"]) == (2, 2.0)
    assert (fid["n"], fid["interval"], fid["low"], fid["width"]) == (4, None, None, 7)
