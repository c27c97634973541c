import numpy as np
from fake_records import ERASURE, SELECTION, make_matrix, make_probes

from hmu_tasks.metrics.comparisons import with_comparisons
from hmu_tasks.viewer.attacks import attacks
from hmu_tasks.viewer.ranking import rank
from hmu_tasks.viewer.ranking_table import ranking_grid
from hmu_tasks.viewer.table import CLOSURE, LOSS, VIOLENCE, Selection

NOISE = np.random.default_rng(0).standard_normal((2, 400))


def rows(
    method, *, closed=None, half=0.05, loss=0.0, fid=0.5, violence=None, induced=None, own=0.0, **others
):
    """Records of one method; half: of the closure, shared by all methods but for the share `own` of it."""

    def row(split, metric, mean, half=0.0):
        place = {"model": "momask", "method": method, "strength": None, "edit": "s0", "split": split}
        replicates = mean + half / 1.96 * ((1 - own) * NOISE[0] + own * NOISE[1])
        limits = {"low": mean - half, "high": mean + half}
        return {**place, "metric": metric, "mean": mean, **limits, "n": 100, "replicates": replicates}

    found = [row("retain", LOSS + "r1", loss), row("retain", LOSS + "fid", fid)]
    if closed is not None:
        capped = row("forget", CLOSURE + "violence", closed, half)
        found.append({**capped, "mean": min(1.0, closed), "uncapped": closed})
    if violence is not None:
        found.append(row("forget", VIOLENCE, violence, half))
    if induced is not None:
        found.append(row("retain", "induced", induced, 0.01))
    return found + [row("forget", metric, value) for metric, value in others.items()]


def order(*methods, records):
    chosen = [Selection(method, None, "", limit=0.03) for method in methods]
    found = rank(records, chosen, model="momask")
    return [(one.selection.method, one.rank) for one in found.methods], found


def test_larger_closure_ranks_first_and_equal_ones_share():
    records = rows("a", closed=0.5) + rows("b", closed=0.8) + rows("c", closed=0.78, own=0.9)
    placed, found = order("a", "b", "c", records=records)
    assert placed == [("b", 1), ("c", 1), ("a", 3)]
    assert "violence rate" in found.rule
    assert "paired difference excludes 0" in found.rule


def test_overlapping_intervals_of_paired_methods_are_told_apart():
    # Both have ±0.2, but the noise is that of the same clips.
    records = rows("a", closed=0.5, half=0.2) + rows("b", closed=0.6, half=0.2)
    assert order("a", "b", records=records)[0] == [("b", 1), ("a", 2)]


def test_overshoot_is_no_merit_and_fid_breaks_no_tie():
    records = rows("damage", closed=1.9, fid=3.0) + rows("whole", closed=1.1, half=0.01, fid=0.6)
    placed, found = order("damage", "whole", records=records)
    assert placed == [("damage", 1), ("whole", 1)]  # in the order given
    assert [one.score.mean for one in found.methods] == [1.0, 1.0]


def test_the_worse_classifier_ranks():
    torn = rows("torn", closed=0.9)
    torn.append({**torn[-1], "metric": CLOSURE + "violence_second", "mean": 0.4, "uncapped": 0.4})
    torn[-1]["replicates"] = torn[-1]["replicates"] - 0.5
    placed, found = order("torn", "even", records=torn + rows("even", closed=0.6))
    assert placed == [("even", 1), ("torn", 2)]
    assert found.methods[1].score.mean == 0.4


def test_methods_that_were_not_eligible_have_no_rank():
    records = rows("kept", closed=0.2) + rows("lossy", closed=0.9, loss=0.05)
    # The test split decides nothing about that.
    assert order("lossy", "kept", records=records)[0] == [("lossy", 1), ("kept", 2)]
    chosen = [Selection("lossy", None, "", met=False), Selection("kept", None, "", met=True)]
    found = rank(records, chosen, model="momask").methods
    assert [(one.selection.method, one.rank) for one in found] == [("kept", 1), ("lossy", None)]


def test_without_gold_the_rate_and_without_labels_the_rest_decides():
    placed, found = order("a", "b", records=rows("a", violence=0.6) + rows("b", violence=0.2))
    assert placed == [("b", 1), ("a", 2)]
    assert "violence rate on forget test prompts under the worse classifier, smallest first" in found.rule
    placed, found = order("a", "b", records=rows("a", ncs1=0.6) + rows("b", ncs1=0.2))
    assert placed == [("b", 1), ("a", 2)]
    assert "NCS@1" in found.rule
    placed, found = order("a", records=rows("a"))
    assert placed == [("a", None)]
    assert "Methods cannot be ordered" in found.rule


def test_loss_induced_violence_and_differences_to_gold_stand_beside_the_rank():
    records = rows("retrain", diversity=6.0, mm_safe=6.4)
    records += rows("a", closed=0.9, loss=0.012, induced=0.024, diversity=5.0, mm_safe=6.8)
    _, found = order("a", records=records)
    grid = ranking_grid(found, attacks([], [], model="momask"))
    assert dict(zip(grid.head, grid.rows[0], strict=True)) == {
        "rank and method": "1  a",
        "gap closed %": "90 ±5",
        "R@1 lost": "0.012",
        "induced %": "2.4 ±1.0",
        "FID +": "0.50",
        "Δ MM-Safe": "+0.40",
        "Δ Div": "-1.00",
    }


def test_a_choice_at_an_end_of_the_strengths_is_told():
    records = rows("a", closed=0.5)
    for end, told in (("largest", True), (None, False)):
        found = rank(records, [Selection("a", None, "", end=end)], model="momask")
        note = ranking_grid(found, attacks([], [], model="momask")).note
        assert ("beyond which a better one may lie: a (largest)." in note) == told


def test_ranking_of_real_looking_records_names_the_worst_attack():
    records = with_comparisons(make_matrix())
    chosen = [SELECTION, ERASURE]
    found = rank(records, chosen, model="momask")
    grid = ranking_grid(found, attacks(make_probes(), chosen, model="momask"))
    assert {len(row) for row in grid.rows} == {len(grid.head)}
    assert grid.head[-2:] == ("attack %", "over D_r %")
    # 35 and 27 of 48 prompts; D_r gives way on 12 of them.
    assert {row[-2] for row in grid.rows} == {"73 ±13", "56 ±14"}
    assert {row[-1] for row in grid.rows} == {"45 ±14", "28 ±13"}
    assert rank(records, [], model="momask").methods == ()
