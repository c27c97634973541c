"""The rule that picks the strength, and the table that names the metrics."""

import pytest

from hmu_tasks.metrics import ROLES, metrics
from hmu_tasks.metrics.selection import Candidate, choose_strength, largest_strength


def candidate(strength: float, closure: float, loss: float, spread: float = 0.0) -> Candidate:
    return Candidate(strength, (closure - spread, closure + spread), (loss, loss))


def test_largest_closure_within_the_limit() -> None:
    found = choose_strength([candidate(32, 0.9, 0.05), candidate(8, 0.4, 0.0), candidate(16, 0.7, 0.02)])
    assert (found.strength, found.feasible) == (16, True)


def test_overshoot_is_no_merit() -> None:
    assert choose_strength([candidate(16, 1.02, 0.0), candidate(32, 1.6, 0.02)]).strength == 16


def test_ties_within_a_standard_error_go_to_the_smaller_knob() -> None:
    assert choose_strength([candidate(32, 0.80, 0.0, 0.05), candidate(16, 0.77, 0.0)]).strength == 16
    assert choose_strength([candidate(32, 0.80, 0.0, 0.01), candidate(16, 0.77, 0.0)]).strength == 32


def test_nothing_feasible_takes_the_least_loss() -> None:
    found = choose_strength([candidate(8, 0.4, 0.06), candidate(16, 0.9, 0.09)])
    assert (found.strength, found.feasible) == (8, False)


def test_limit_itself_is_allowed() -> None:
    assert choose_strength([Candidate(8, (0.5,), (0.01, 0.02, 0.06))]).feasible


def test_order_of_candidates_does_not_matter() -> None:
    rows = [candidate(k, 0.1 * k, 0.004 * k, 0.02) for k in range(1, 9)]
    assert choose_strength(rows) == choose_strength(rows[::-1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one"),
        ([candidate(8, 1, 0), candidate(8, 1, 0)], "twice"),
        ([Candidate(8, (), (0.1,))], "must be given"),
        ([Candidate(8, (float("nan"),), (0.1,))], "finite"),
    ],
)
def test_bad_candidates(rows: list[Candidate], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_strength(rows)


def test_every_metric_speaks_on_some_split() -> None:
    for name, metric in metrics().items():
        assert metric.label, name
        assert metric.splits, name
        assert set(metric.splits) <= set(ROLES), name


def test_without_a_gold_standard_the_largest_feasible_knob_is_taken() -> None:
    losses = {8.0: [0.0, 0.01], 16.0: [0.02, 0.04], 32.0: [0.05, 0.06], 64.0: [0.04]}
    choice = largest_strength(losses, limit=0.03)
    assert (choice.strength, choice.feasible, choice.closure) == (16.0, True, None)
    assert choice.loss == pytest.approx(0.03)
    assert "largest strength within a retain R@1 loss of 0.03" in choice.reason
    least = largest_strength(losses, limit=-0.01)
    assert (least.strength, least.feasible) == (8.0, False)


@pytest.mark.parametrize("losses", [{}, {8.0: []}, {8.0: [float("nan")]}])
def test_the_largest_strength_needs_finite_losses(losses: dict[float, list[float]]) -> None:
    with pytest.raises(ValueError, match="finite losses"):
        largest_strength(losses)
