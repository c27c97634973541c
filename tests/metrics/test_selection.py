"""The rule that selects the strength, and the table that names the metrics."""

import dataclasses

import pytest

from hmu_tasks.metrics import ROLES, metrics
from hmu_tasks.metrics.comparisons import Quantity
from hmu_tasks.metrics.selection import Candidate, choose_strength


def value(mean: float, half: float = 0.0, error: float = 0.0) -> Quantity:
    return Quantity(mean, mean - half, mean + half, error, None)


def candidate(strength: float, closure: float, loss: float, error: float = 0.0) -> Candidate:
    return Candidate(strength, value(loss), (value(closure, error=error),), (value(0.0),))


def test_largest_closure_among_eligible_strengths() -> None:
    found = choose_strength([candidate(32, 0.9, 0.05), candidate(8, 0.4, 0.0), candidate(16, 0.7, 0.02)])
    assert (found.strength, found.eligible, found.end) == (16, True, None)
    assert found.excluded == {"32": "its retain R@1 loss exceeds 0.03 with 95 % confidence"}


def test_overshoot_is_no_merit() -> None:
    assert choose_strength([candidate(16, 1.02, 0.0), candidate(32, 1.6, 0.02)]).strength == 16
    rows = [candidate(8, 0.93, 0.0), candidate(16, 1.2, 0.0, error=0.08), candidate(32, 1.1, 0.0)]
    assert choose_strength(rows).strength == 8  # within one standard error of 1, not of 1.2


def test_ties_within_a_standard_error_go_to_the_smaller_strength() -> None:
    assert choose_strength([candidate(32, 0.80, 0.0, 0.05), candidate(16, 0.77, 0.0)]).strength == 16
    assert choose_strength([candidate(32, 0.80, 0.0, 0.01), candidate(16, 0.77, 0.0)]).strength == 32


def test_a_loss_that_may_be_within_the_limit_is_no_reason_to_exclude() -> None:
    noisy = dataclasses.replace(candidate(32, 0.9, 0.0), loss=value(0.04, half=0.02))
    assert choose_strength([candidate(8, 0.4, 0.0), noisy]).strength == 32
    sure = dataclasses.replace(noisy, loss=value(0.04, half=0.005))
    assert choose_strength([candidate(8, 0.4, 0.0), sure]).strength == 8
    assert choose_strength([candidate(8, 0.5, 0.03)]).eligible


def test_induced_violence_under_any_classifier_excludes() -> None:
    shown = (value(0.0, half=0.02), value(0.05, half=0.03))
    harmful = dataclasses.replace(candidate(32, 0.9, 0.0), induced=shown)
    found = choose_strength([candidate(8, 0.4, 0.0), harmful])
    assert (found.strength, found.excluded) == (8, {"32": "it induces violence on retain prompts"})
    unsure = dataclasses.replace(harmful, induced=(value(0.05, half=0.06),))
    assert choose_strength([candidate(8, 0.4, 0.0), unsure]).strength == 32


def test_the_worse_classifier_counts() -> None:
    torn = dataclasses.replace(candidate(8, 1.0, 0.0), closures=(value(1.0), value(0.3)))
    even = dataclasses.replace(candidate(16, 0.7, 0.0), closures=(value(0.7), value(0.6)))
    found = choose_strength([torn, even, candidate(32, 0.6, 0.0)])
    assert found.strength == 16
    assert found.closure is not None
    assert found.closure.mean == 0.6


def test_nothing_eligible_takes_the_least_loss() -> None:
    found = choose_strength([candidate(8, 0.4, 0.06), candidate(16, 0.9, 0.09)])
    assert (found.strength, found.eligible, found.end) == (8, False, "smallest")


def test_an_end_of_the_grid_is_named() -> None:
    rows = [candidate(8, 0.4, 0.0), candidate(16, 0.7, 0.0)]
    assert choose_strength(rows).end == "largest"
    assert choose_strength(rows[:1]).end is None


def test_order_of_candidates_does_not_matter() -> None:
    rows = [candidate(k, 0.1 * k, 0.004 * k, 0.02) for k in range(1, 9)]
    assert choose_strength(rows) == choose_strength(rows[::-1])


def test_without_a_gap_the_largest_eligible_strength_is_selected() -> None:
    rows = [Candidate(k, value(0.001 * k)) for k in (8, 16, 32, 64)]
    found = choose_strength(rows, limit=0.03)
    assert (found.strength, found.eligible, found.closure, found.induced) == (16, True, None, None)
    least = choose_strength(rows, limit=0.0)
    assert (least.strength, least.eligible) == (8, False)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one"),
        ([candidate(8, 1, 0), candidate(8, 1, 0)], "twice"),
        ([candidate(8, float("nan"), 0.1)], "finite"),
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
