"""Over-suppression and the records of outcomes."""

from pathlib import Path

import numpy as np
import pytest

from hmu_tasks.metrics.stats import wilson_interval
from hmu_tasks.probes.outcome import Attack, AttackOutcome, record, resumed
from hmu_tasks.probes.suppression import changed
from hmu_tasks.registry.evidence import success_rates
from hmu_tasks.runtime.errors import DataError


def embeddings(seed: int, *, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    prompts = np.random.default_rng(0).standard_normal((1, 400, 6)) * 5
    return prompts + rng.standard_normal((3, 400, 6)) + shift


def test_the_original_has_its_level_and_fresh_draws_of_it_nearly_so() -> None:
    reference = embeddings(1)
    assert changed(reference, reference, level=0.95).shares.mean() == pytest.approx(0.05, abs=0.001)
    assert changed(embeddings(2), reference, level=0.95).shares.mean() == pytest.approx(0.05, abs=0.02)


def test_moved_motions_are_outside() -> None:
    assert changed(embeddings(2, shift=4.0), embeddings(1)).shares.min() == 1.0
    assert 0.1 < changed(embeddings(2, shift=0.8), embeddings(1)).shares.mean() < 0.9


def test_a_shared_random_number_is_no_advantage() -> None:
    """Motion r equal to the original's motion r is measured against the others only."""
    reference, other = embeddings(1), embeddings(1)
    other[1:] += 50.0
    assert changed(other, reference).shares.mean() == pytest.approx(2 / 3, abs=0.05)
    with pytest.raises(ValueError, match="at least two per prompt"):
        changed(reference[:1], reference[:1])


def test_records_are_what_the_gate_reads() -> None:
    outcome = AttackOutcome("none", "text", [1.0, 0.0, 0.5, 0.5], {"floor": 0.1})
    row = record(outcome, {"model": "momask"}, bundle="abc")
    interval = wilson_interval(2, 4)
    assert (row["mean"], row["low"], row["high"], row["n"]) == (0.5, interval.low, interval.high, 4)
    assert (row["attack"], row["family"], row["floor"], row["bundle"]) == ("none", "text", 0.1, "abc")
    assert success_rates([row])["none"].high == interval.high
    with pytest.raises(DataError, match="twice"):
        success_rates([row, row])


def test_shares_that_round_up_stay_within_the_interval() -> None:
    assert record(AttackOutcome("a", "text", [1 / 3 + 2 / 3] * 7), {}, bundle="")["mean"] == 1.0


def test_what_was_finished_before_a_kill_is_not_run_again(tmp_path: Path) -> None:
    runs = []

    def run() -> list[AttackOutcome]:
        runs.append(1)
        return [AttackOutcome("a", "weights", [0.25, 1.0], {"steps": 3})]

    attack = Attack("a", run)
    first, second = resumed(attack, tmp_path), resumed(attack, tmp_path)
    assert first == second
    assert len(runs) == 1
