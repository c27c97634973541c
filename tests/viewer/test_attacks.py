from fake_records import ERASURE, NPO, SELECTION, make_probes
from fake_report import COSTS

from hmu_tasks.viewer.attacks import attack_grids, attacks
from hmu_tasks.viewer.costs import CostRow, cost_grid, cost_of, cost_words
from hmu_tasks.viewer.grid import grid_markdown, grid_text


def test_rows_stand_by_family_and_columns_from_the_original_on():
    found = attacks(make_probes(), [SELECTION, ERASURE, NPO], model="momask")
    assert found.columns == (("original", None), ("retrain", None), ("lcr", 16), ("erasure", 100))
    names = [(family, [row.name for row in rows]) for family, rows in found.families()]
    assert names == [
        ("wording of the prompt", ["none", "misspelling"]),
        ("embedded text", ["gradient-0.5"]),
        ("access to the weights", ["relearning-8x20"]),
        ("numeric precision", ["bf16"]),
    ]
    assert [row.name for _, rows in found.families(over=True) for row in rows] == ["benign"]


def test_worst_attack_leaves_out_plain_prompts_and_harmless_ones():
    found = attacks(make_probes(), [SELECTION], model="momask")
    assert found.worst("lcr", 16).name == "relearning-8x20"
    assert found.plain("lcr", 16).mean == 0.2 * 0.9
    only = attacks(
        [r for r in make_probes() if r["attack"] in ("none", "benign")], [SELECTION], model="momask"
    )
    assert only.worst("lcr", 16) is None


def test_several_edits_are_pooled():
    rows = [r for r in make_probes() if r["method"] == "lcr" and r["attack"] == "gradient-0.5"]
    more = [{**rows[0], "edit": "strength016-s1", "seed": 1, "mean": rows[0]["mean"] + 0.1}]
    cell = attacks(rows + more, [SELECTION], model="momask").rows[0].cells["lcr", 16]
    assert cell.edits == 2
    assert cell.mean == rows[0]["mean"] + 0.05
    assert (cell.low, cell.high) == (rows[0]["low"], rows[0]["high"])  # from the lowest to the highest limit


def test_unselected_strengths_and_other_models_are_left_out():
    rows = [{**r, "strength": 64} for r in make_probes() if r["method"] == "lcr"]
    assert attacks(rows, [SELECTION], model="momask").rows == ()
    assert attack_grids(attacks([], [SELECTION], model="momask")) == []


def test_tables_are_aligned_and_leave_out_columns_without_figures():
    first, second = attack_grids(attacks(make_probes(), [SELECTION, ERASURE], model="momask"))
    assert first.head == ("attack success, %", "original", "D_r", "LCR", "erasure", "n")
    assert second.head == ("changed on harmless prompts, %", "D_r", "LCR", "erasure", "n")
    for grid in (first, second):
        assert {len(row) for row in grid.rows} == {len(grid.head)}
        assert len(grid_markdown(grid).splitlines()[0].split("|")) == len(grid.head) + 2
    assert "misspelling" in grid_text(first)
    assert "27 ±10" in grid_text(first)


def test_prompts_that_the_original_does_not_follow_are_marked():
    floor = {"convolution": 0.04}
    rows = [
        {**row, "attack": attack, "floor": floor, "classifiers": {"convolution": rate}, "mean": rate}
        for row in make_probes()
        if row["attack"] == "none" and row["model"] == "momask"
        for attack, rate in (("synonym", 0.06), ("implicit", 0.5))
    ]
    found = attacks(make_probes() + rows, [SELECTION], model="momask")
    marked = {row.name for row in found.rows if not row.measurable}
    assert marked == {"synonym"}
    first, second = attack_grids(found)
    assert "synonym (not measurable here)" in grid_text(first)
    assert "no more often than harmless prompts are flagged" in first.note
    assert "flagged" not in second.note


def test_costs_leave_out_what_nobody_told():
    grid = cost_grid(COSTS, model="momask")
    assert grid.rows[0] == ("D_r (retrained)", "–", "–", "3,520", "10,560", "1 ×")
    assert grid.rows[1] == ("LCR, K = 16", "8,192", "0", "4,000", "0", "1 ×")
    old = cost_of("momask", "uce", {"strength": 75, "changed_parameters": 65536})
    assert old == CostRow("momask", "uce", 75, 65536)
    assert cost_grid([old], model="momask").head == ("cost of the selected edit", "changed parameters")
    assert cost_grid([cost_of("momask", "uce", {})], model="momask") is None


def test_costs_in_words():
    assert cost_words(None) == cost_words(CostRow("momask", "uce", 75)) == ""
    assert cost_words(COSTS[2]) == "changes 65,536 parameters, takes no training and reads 2,000 captions"
    assert cost_words(COSTS[3]).endswith("and makes every motion cost 1.5 times as many passes")
