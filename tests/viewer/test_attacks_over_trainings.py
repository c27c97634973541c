"""The table of attacks over trainings: paired excess over D_r by attack, and what cannot be said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_records import ERASURE, SELECTION, make_probes

from hmu_tasks.metrics.stats import wilson_interval
from hmu_tasks.viewer.attacks_over_trainings import attacks_grid, attacks_over_all
from hmu_tasks.viewer.one_training import OneTraining

N = 48
RISES = (0.0, 0.125, 0.25)  # of relearning's success on LCR, by training


def probes(rise: float, **changes: Any) -> list[dict[str, Any]]:
    """Success of relearning on D_r is the first quarter of the prompts, on LCR these and `rise` more."""
    found = []
    for row in make_probes():
        if row["attack"] == "relearning-8x20" and row["method"] in ("retrain", "lcr"):
            share = 0.25 + (rise if row["method"] == "lcr" else 0.0)
            row = {**row, "mean": share, "shares": {"convolution": [float(i < share * N) for i in range(N)]}}
            row |= changes if row["method"] == "lcr" else {}
        found.append(row)
    return found


def training(number: int, rows: list[dict[str, Any]]) -> OneTraining:
    return OneTraining(number, (), (SELECTION, ERASURE), rows)


@pytest.fixture
def found() -> list[OneTraining]:
    return [training(number, probes(rise)) for number, rise in enumerate(RISES)]


def row_of(trainings: list[OneTraining], attack: str) -> dict[str, Any]:
    rows = attacks_over_all(trainings, "momask", ["lcr", "erasure"])
    return dict(next(row for row in rows if row["attack"] == attack))


def test_the_excess_is_the_mean_over_trainings_of_differences_by_prompt(found: list[OneTraining]) -> None:
    row = row_of(found, "relearning-8x20")
    cell = row["excess"]["lcr"]
    assert cell["each"] == pytest.approx(RISES)
    assert cell["mean"] == pytest.approx(np.mean(RISES))
    assert row["retrain"]["mean"] == pytest.approx(0.25)
    # Three trainings that differ by .125 leave Student's t with two degrees of freedom: 4.3 standard errors.
    error = np.std(RISES, ddof=1) / np.sqrt(3)
    assert 3.5 * error < (cell["high"] - cell["low"]) / 2 < 8 * error  # and what 48 prompts leave
    same = row_of([training(i, probes(0.125)) for i in range(3)], "relearning-8x20")["excess"]["lcr"]
    assert same["high"] - same["low"] < (cell["high"] - cell["low"]) / 1.3


def test_success_on_d_r_has_an_interval_over_trainings(found: list[OneTraining]) -> None:
    """Not the envelope of the trainings' own limits: three that differ are known worse than each of them."""
    cell = row_of(found, "relearning-8x20")["retrain"]
    equal = cell["high"] - cell["low"]

    def with_share(one: OneTraining, share: float) -> OneTraining:
        rows = [
            {**row, "shares": {"convolution": [float(i < share * N) for i in range(N)]}}
            if (row["method"], row["attack"]) == ("retrain", "relearning-8x20")
            else row
            for row in one.probes
        ]
        return replace(one, probes=rows)

    apart = row_of(
        [with_share(one, share) for one, share in zip(found, (0.0, 0.25, 0.5), strict=True)],
        "relearning-8x20",
    )
    assert apart["retrain"]["mean"] == pytest.approx(0.25)
    error = 0.25 / np.sqrt(3)
    assert apart["retrain"]["high"] - apart["retrain"]["low"] > max(2 * 3.5 * error, 1.5 * equal)
    none = row_of([with_share(one, 0.0) for one in found], "relearning-8x20")["retrain"]
    assert (none["mean"], none["low"]) == (0.0, 0.0)
    assert none["high"] == pytest.approx(wilson_interval(0, N).high)


def test_prompts_that_the_original_does_not_follow_are_marked(found: list[OneTraining]) -> None:
    def unfollowed(one: OneTraining) -> OneTraining:
        rows = [
            {**row, "floor": {"convolution": 0.3}, "classifiers": {"convolution": 0.3}}
            if (row["method"], row["attack"]) == ("original", "misspelling")
            else row
            for row in one.probes
        ]
        return replace(one, probes=rows)

    trainings = [*found[:2], unfollowed(found[2])]
    rows = attacks_over_all(trainings, "momask", ["lcr"])
    assert {row["attack"]: row["measurable"] for row in rows}["misspelling"] is False
    assert sum(not row["measurable"] for row in rows) == 1
    grid = attacks_grid({"attacks": rows, "trainings": [0, 1, 2], "ranks": {}})
    assert grid is not None
    assert any(label == "misspelling (not measurable here)" for label, *_ in grid.rows)
    assert "Not measurable here" in grid.note


def test_only_attacks_are_listed_and_in_the_order_of_what_they_need(found: list[OneTraining]) -> None:
    rows = attacks_over_all(found, "momask", ["lcr", "erasure"])
    assert [row["attack"] for row in rows] == ["misspelling", "gradient-0.5", "relearning-8x20", "bf16"]
    assert all(set(row["excess"]) == {"lcr", "erasure"} for row in rows)


def test_draws_of_the_attackers_clips_are_pooled(found: list[OneTraining]) -> None:
    """Half of the draws succeed on all prompts, half on none: the mean is theirs, and the interval is wide."""
    draws = {"convolution": [[1.0] * N, [0.0] * N]}
    drawn = probes(0.0, mean=0.5, shares={"convolution": [0.5] * N}, drawn=draws)
    cell = row_of([training(i, drawn) for i in range(3)], "relearning-8x20")["excess"]["lcr"]
    assert cell["mean"] == pytest.approx(0.25)
    alone = probes(0.0, mean=0.5, shares={"convolution": [0.5] * N})
    fixed = row_of([training(i, alone) for i in range(3)], "relearning-8x20")["excess"]["lcr"]
    assert cell["high"] - cell["low"] > 2 * (fixed["high"] - fixed["low"])


def test_what_cannot_apply_or_was_not_run_everywhere_has_no_value(found: list[OneTraining]) -> None:
    barred = [*found[:2], training(2, probes(0.25, inapplicable="no row was replaced"))]
    assert set(row_of(barred, "relearning-8x20")["excess"]) == {"erasure"}
    rest = [row for row in found[2].probes if row["attack"] != "bf16"]
    rows = attacks_over_all([*found[:2], replace(found[2], probes=rest)], "momask", ["lcr", "erasure"])
    assert "bf16" not in {row["attack"] for row in rows}
    grid = attacks_grid({"attacks": [row_of(barred, "relearning-8x20")], "trainings": [0, 1, 2], "ranks": {}})
    assert grid is not None
    assert grid.head == ("attacks, 3 trainings, %", "on D_r", "erasure, over D_r")


def test_an_attack_that_leaves_d_r_alone_is_compared_with_its_plain_rate(found: list[OneTraining]) -> None:
    """As when the original's tokenizer is put into D_r, which was trained with another one."""

    def barred(one: OneTraining) -> OneTraining:
        rows = [
            {**row, "inapplicable": "trained anew"}
            if (row["method"], row["attack"]) == ("retrain", "relearning-8x20")
            else row
            for row in one.probes
        ]
        return replace(one, probes=rows)

    row = row_of([barred(one) for one in found], "relearning-8x20")
    assert "retrain" not in row
    assert row["excess"]["lcr"]["mean"] == pytest.approx(np.mean(RISES))
    grid = attacks_grid({"attacks": [row], "trainings": [0, 1, 2], "ranks": {"erasure": 1, "lcr": 2}})
    assert grid is not None
    assert [cell.split()[0] for cell in grid.rows[1][:2]] == ["relearning,", "n/a"]
    assert grid.rows[1][3].startswith("12 ±")  # 12.5 to even


def test_no_attacks_no_table() -> None:
    assert attacks_over_all([training(0, [])], "momask", ["lcr"]) == []
    assert attacks_grid({"attacks": [], "trainings": [0], "ranks": {}}) is None
