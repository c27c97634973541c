import numpy as np
import pytest
from fake_report import ERASURE, SELECTION, make_matrix, make_probes

from hmu_tasks.metrics.closures import with_closures
from hmu_tasks.viewer.attacks import attacks
from hmu_tasks.viewer.intervals import crossed_interval, spread
from hmu_tasks.viewer.ranking import rank
from hmu_tasks.viewer.ranking_table import ranking_grid
from hmu_tasks.viewer.table import CLOSURE, VIOLENCE, Selection


def rows(method, *, closed=None, half=0.05, loss=0.0, fid=0.5, violence=None, **overshot):
    """Records of one method: closure of violence with its half interval, retain R@1 lost, retain FID, other gaps."""

    def row(split, metric, mean, half=0.0):
        place = {"model": "momask", "method": method, "strength": None, "edit": "s0", "split": split}
        limits = {"low": mean - half, "high": mean + half}
        return {**place, "metric": metric, "mean": mean, **limits, "n": 100, "values": []}

    found = [row("retain", "r1", 0.8 - loss), row("retain", "fid", fid)]
    if closed is not None:
        found.append(row("forget", CLOSURE + VIOLENCE, closed, half))
    if violence is not None:
        found.append(row("forget", VIOLENCE, violence, half))
    for metric, (value, gap) in overshot.items():
        found += [row("forget", metric, value)] + (
            [] if gap is None else [row("forget", CLOSURE + metric, gap, 0.1)]
        )
    return found


def order(*methods, records):
    chosen = [Selection(method, None, "", limit=0.03) for method in methods]
    found = rank(records, chosen, model="momask")
    return [(one.selection.method, one.rank) for one in found.methods], found


def test_larger_closure_ranks_first_and_overlap_shares():
    records = rows("original") + rows("a", closed=0.5) + rows("b", closed=0.8) + rows("c", closed=0.72)
    placed, found = order("a", "b", "c", records=records)
    assert placed == [("b", 1), ("c", 1), ("a", 3)]
    assert "violence rate" in found.rule
    assert "0.03" in found.rule


def test_overshoot_is_no_merit_and_equal_closures_stand_by_retain_fid():
    records = rows("original") + rows("damage", closed=1.9, fid=3.0) + rows("whole", closed=1.1, fid=0.6)
    placed, found = order("damage", "whole", records=records)
    assert placed == [("whole", 1), ("damage", 1)]
    assert found.methods[1].score.mean == pytest.approx(1.9)


def test_methods_that_break_the_limit_have_no_rank():
    records = rows("original") + rows("kept", closed=0.2) + rows("lossy", closed=0.9, loss=0.05)
    placed, _ = order("lossy", "kept", records=records)
    assert placed == [("kept", 1), ("lossy", None)]
    broken = Selection("kept", None, "", met=False, limit=0.03)
    assert rank(records, [broken], model="momask").methods[0].rank is None


def test_without_gold_the_rate_and_without_labels_the_rest_decides():
    base = rows("original")
    placed, found = order("a", "b", records=base + rows("a", violence=0.6) + rows("b", violence=0.2))
    assert placed == [("b", 1), ("a", 2)]
    assert "violence rate on forget test prompts, the smallest first" in found.rule
    placed, found = order("a", "b", records=base + rows("a", ncs1=(0.6, None)) + rows("b", ncs1=(0.2, None)))
    assert placed == [("b", 1), ("a", 2)]
    assert "NCS@1" in found.rule
    placed, found = order("a", records=base + rows("a"))
    assert placed == [("a", None)]
    assert "Methods cannot be ordered" in found.rule


def test_distances_to_gold_are_told_beside_the_rank():
    records = rows("original") + rows("retrain", fid=0.5) + rows("a", closed=0.9)
    retrain = rows("retrain", diversity=(6.0, None), mm_safe=(6.4, None))
    records += retrain[2:] + rows("a", diversity=(5.0, None), mm_safe=(6.8, 1.7))[2:]
    _, found = order("a", records=records)
    distances = found.methods[0].distances
    assert distances["mm_safe"].closed.mean == pytest.approx(1.7)
    assert distances["diversity"].closed is None
    grid = ranking_grid(found, attacks([], [], model="momask"))
    assert "170 ±10" in grid.rows[0]
    assert "Δ -1.00 ±0.00" in grid.rows[0]


def test_ranking_of_real_looking_records_names_the_worst_attack():
    records = with_closures(make_matrix())
    chosen = [SELECTION, ERASURE]
    found = rank(records, chosen, model="momask")
    grid = ranking_grid(found, attacks(make_probes(), chosen, model="momask"))
    assert {len(row) for row in grid.rows} == {len(grid.head)}
    assert grid.head[-1] == "worst attack %"
    assert {row[-1] for row in grid.rows} == {"72 ±10", "56 ±10"}
    assert rank(records, [], model="momask").methods == ()


def test_crossed_interval_is_the_ordinary_one_along_a_single_row_or_column():
    values = np.array([[0.2, 0.5, 0.6, 0.4]])
    assert crossed_interval(values) == pytest.approx(spread(values[0]))
    assert crossed_interval(values.T) == pytest.approx(spread(values[0]))
    assert crossed_interval(np.full((3, 2), 0.5)) == 0.0
    assert spread([0.3]) == 0.0


def test_crossed_interval_covers_what_edits_and_repeats_share():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        table = rng.normal(0, 1, (3, 1)) + rng.normal(0, 1, (1, 4)) + rng.normal(0, 0.5, (3, 4))
        hits += abs(table.mean()) <= crossed_interval(table)
    assert 0.92 <= hits / 400 <= 1.0
