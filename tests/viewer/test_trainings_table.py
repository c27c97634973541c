"""The table over trainings: means, intervals and bands, the order that they support, and the recorded one."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_records import ERASURE, NPO, SELECTION, make_matrix, make_probes
from fake_report import make_inputs
from modules import ROOT

from hmu_tasks.config.params import load
from hmu_tasks.metrics.comparisons import with_comparisons
from hmu_tasks.report import write_report
from hmu_tasks.viewer import page
from hmu_tasks.viewer import trainings as several
from hmu_tasks.viewer.one_training import OneTraining
from hmu_tasks.viewer.trainings import (
    over_all,
    parameters_digest,
    recorded,
    summarise,
    trainings_grid,
)

SHIFTS = (0.0, 0.06, -0.04)  # of the retain R@1 and violence rate of every model, by training


def shifted(number, shift):
    rows = []
    for row in make_matrix():
        if row["metric"] in ("r1", "violence"):
            moved = {name: row[name] + shift for name in ("mean", "low", "high", "replicates")}
            row = {**row, **moved, "values": [value + shift for value in row["values"]]}
        rows.append(row)
    return OneTraining(number, with_comparisons(rows), (SELECTION, ERASURE, NPO), make_probes())


@pytest.fixture(scope="module")
def found():
    return [shifted(number, shift) for number, shift in enumerate(SHIFTS)]


def test_values_are_means_over_trainings_with_their_bands(found):
    rows = over_all(found, "momask")
    assert list(rows)[:2] == ["original", "retrain"]
    assert set(rows) == {"original", "retrain", "lcr", "erasure"}
    each = [one.cell("momask", "original", "retain", "r1").mean for one in found]
    cell = rows["original"]["retain_r1"]
    assert cell.each == tuple(each)
    assert cell.value.mean == pytest.approx(np.mean(each))
    alone = found[0].cell("momask", "original", "retain", "r1")
    assert cell.value.high - cell.value.low > 3 * (alone.high - alone.low)


def test_losses_are_paired_within_a_training(found):
    """All trainings lose the same although their levels differ, so that the loss is known better than the level."""
    rows = over_all(found, "momask")
    loss, level = rows["lcr"]["r1_lost"].value, rows["lcr"]["retain_r1"].value
    assert loss.high - loss.low < (level.high - level.low) / 2


def test_the_closure_is_that_of_mean_rates(found):
    rows = over_all(found, "momask")
    flagged = {name: rows[name]["flagged"].value.mean for name in ("original", "retrain", "erasure")}
    closed = (flagged["erasure"] - flagged["original"]) / (flagged["retrain"] - flagged["original"])
    assert rows["erasure"]["gap_closed"].value.mean == pytest.approx(min(1.0, closed))
    assert "gap_closed" not in rows["original"]
    assert "excess" not in rows["retrain"]


def test_an_order_is_stated_only_where_trainings_support_it(found):
    same = summarise(found, "momask")["ranks"]
    assert set(same) == {"lcr", "erasure"}

    def with_erasure(levels):
        changed = []
        for one, level in zip(found, levels, strict=True):
            rows = [
                {**row, **{n: row[n] + level for n in ("mean", "low", "high", "replicates")}}
                if (row["method"], row["metric"]) == ("erasure", "violence") and row["split"] == "forget"
                else row
                for row in make_matrix()
            ]
            changed.append(replace(one, records=with_comparisons(rows)))
        return summarise(changed, "momask")["ranks"]

    assert with_erasure((0.2, 0.2, 0.2)) == {"lcr": 1, "erasure": 2}
    # As far apart on average, but one training contradicts.
    assert with_erasure((0.5, 0.3, -0.2)) == {"lcr": 1, "erasure": 1}


def test_a_value_that_a_training_lacks_is_left_out(found):
    bare = replace(found[2], probes=())
    rows = over_all([*found[:2], bare], "momask")
    assert "worst_attack" not in rows["lcr"]
    assert "worst_attack" in over_all(found, "momask")["lcr"]


def test_shares_of_zero_keep_their_score_interval(found):
    def none(one):
        rows = [
            {**row, "mean": 0.0, "low": 0.0, "high": 0.009, "replicates": np.zeros(400), "interval": "wilson"}
            if (row["method"], row["metric"]) == ("retrain", "violence")
            else row
            for row in make_matrix()
        ]
        return replace(one, records=with_comparisons(rows))

    cell = over_all([none(one) for one in found], "momask")["retrain"]["flagged"].value
    assert (cell.mean, cell.low, cell.high) == (0.0, 0.0, 0.009)


def test_the_table_says_band_ranks_and_strengths(found):
    summary = summarise(found, "momask")
    grid = trainings_grid(summary)
    assert grid.head[0] == "3 trainings"
    assert len(grid.rows) == 2 * len(summary["values"])
    lead = next(label for label, *_ in grid.rows if label.startswith("1  "))
    assert lead
    low, high = (
        f"{value:.3f}"
        for value in (min, max)
        for value in [value(summary["values"]["lcr"]["retain_r1"]["each"])]
    )
    assert any(f"{low} to {high}" in row for row in grid.rows)
    assert "LCR 16, 16, 16" in grid.note


def test_a_report_of_one_training_shows_recorded_ones_of_its_parameters(found, tmp_path):
    params = {
        **load(ROOT / "params.yaml").model_dump(mode="json", by_alias=True),
        "register": {"prompts": 3},
    }
    params["run"] = {**params["run"], "trainings": [0, 1, 2]}
    file = tmp_path / "trainings.json"
    models = {"momask": summarise(found, "momask")}
    file.write_text(json.dumps({"parameters": parameters_digest(params), "models": models}))
    one = {
        **params,
        "run": {**params["run"], "trainings": [0], "device": "cpu", "track": False},
        "register": {},
    }
    assert recorded(one, file)["momask"]["ranks"] == models["momask"]["ranks"]
    assert recorded({**one, "unlearn": {**one["unlearn"], "npo": {}}}, file) != {}  # which is not run
    for section, changed in (("unlearn", "lcr"), ("train", "residual"), ("evaluate", "repeats")):
        assert recorded({**one, section: {**one[section], changed: {}}}, file) == {}
    assert recorded(one, tmp_path / "none.json") == {}


def test_the_report_writes_and_shows_the_table(found, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "draw_plots", lambda inputs: drawn)  # they do not show the table
    inputs = replace(make_inputs(), samples=[], usage=None, histories={})  # neither is in the table
    run = {**inputs.params["run"], "trainings": [0, 1, 2]}
    several_of = replace(
        inputs,
        params={**inputs.params, "run": run, "report": {"retain_loss_limit": 0.03}},
        trainings={"momask": summarise(found, "momask")},
    )
    write_report(several_of, tmp_path)
    written = json.loads((tmp_path / "trainings.json").read_text())
    assert written["models"]["momask"]["trainings"] == [0, 1, 2]
    assert "Over trainings" in (tmp_path / "index.html").read_text()
    assert "3 trainings" in (tmp_path / "tables.txt").read_text()
    write_report(inputs, tmp_path / "one")
    assert not (tmp_path / "one" / "trainings.json").exists()
    assert "Over trainings" not in (tmp_path / "one" / "index.html").read_text()


def test_what_is_recorded_is_of_several_trainings_of_the_shipped_parameters():
    if not several.RECORDED.exists():
        pytest.skip("no trainings are recorded")
    found = json.loads(several.RECORDED.read_text())
    assert all(len(one["trainings"]) >= 4 for one in found["models"].values())
    shipped = load(ROOT / "params.yaml").model_dump(mode="json", by_alias=True)
    assert recorded(shipped).keys() == found["models"].keys()


def test_a_recorded_table_keeps_the_order_of_the_ranks(found):
    summary = json.loads(json.dumps(summarise(found, "momask"), sort_keys=True))
    labels = [row[0] for row in trainings_grid(summary).rows if row[0]]
    assert labels[:2] == ["original", "D_r (retrained)"]
    assert labels == [row[0] for row in trainings_grid(summarise(found, "momask")).rows if row[0]]
    places = [summary["ranks"][name] for name in sorted(summary["ranks"], key=summary["ranks"].get)]
    assert [int(label.split()[0]) for label in labels[2:] if label[0].isdigit()] == places
