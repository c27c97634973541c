import csv
import io
import json

import numpy as np
import pytest
from fake_records import SELECTION, K, make_records

from hmu_tasks.metrics.comparisons import with_comparisons
from hmu_tasks.viewer import summary, table
from hmu_tasks.viewer.grid import grid_markdown, grid_text
from hmu_tasks.viewer.table import CLOSURE, VIOLENCE, Selection


@pytest.fixture(scope="module")
def records():
    return with_comparisons(make_records(old=True))


def test_csv_has_the_published_columns_first(records):
    rows = list(csv.DictReader(io.StringIO(table.benchmark_csv(table.benchmark_frame(records)))))
    published = [
        "dataset",
        "concept",
        "model",
        "method",
        "seed",
        "split",
        "metric",
        "mean",
        "low",
        "high",
        "n",
    ]
    assert list(rows[0])[:11] == published
    assert len(rows) == len(records)
    assert {row["seed"] for row in rows} == {"0", "1", "2"}
    assert all(float(row["low"]) <= float(row["mean"]) <= float(row["high"]) for row in rows)
    rates = [row for row in rows if "violence" in row["metric"]]
    assert all(float(row["low"]) >= 0 for row in rates if not row["metric"].startswith("gap_closure"))
    assert all(float(row["high"]) <= 1 for row in rows if row["metric"].startswith("gap_closure"))


def test_order_of_records_does_not_change_a_byte(records):
    frames = [table.benchmark_frame(rows) for rows in (records, records[::-1])]
    assert table.benchmark_csv(frames[0]) == table.benchmark_csv(frames[1])
    assert table.benchmark_markdown(frames[0]) == table.benchmark_markdown(frames[1])


def test_json_is_a_list_of_records_without_nan(records):
    rows = table.benchmark_json(table.benchmark_frame([*records, {**records[0], "seed": None, "low": None}]))
    text = json.dumps(rows, allow_nan=False)
    assert json.loads(text) == rows
    assert {tuple(row) for row in rows} == {table.COLUMNS}
    assert any(row["seed"] is None for row in rows)


def test_one_edit_keeps_its_interval_and_several_spread_over_their_means():
    one = {"mean": 0.5, "low": 0.4, "high": 0.7, "n": 30}
    cell = table.pool([one])
    assert (cell.mean, cell.low, cell.high, cell.n, cell.edits) == (0.5, 0.4, 0.7, 30, 1)
    both = table.pool([one, {**one, "mean": 0.6, "high": 0.8, "n": 20}])
    assert (both.mean, both.low, both.high, both.n, both.edits) == (0.55, 0.4, 0.8, 20, 2)
    noise = np.random.default_rng(0).standard_normal(400)
    crossed = table.pool([{**one, "mean": m, "replicates": m + 0.001 * noise} for m in (0.4, 0.6)])
    assert crossed.mean == pytest.approx(0.5)
    assert crossed.half > 0.1
    assert table.pool([]) is None
    assert table.pool([{**one, "mean": float("nan")}]) is None


def test_a_closure_is_capped_after_pooling():
    noise = np.random.default_rng(0).standard_normal(400)
    one = {"low": 1.0, "high": 1.0, "n": 30}
    rows = [{**one, "mean": min(1.0, m), "uncapped": m, "replicates": m + 0.01 * noise} for m in (0.8, 1.4)]
    cell = table.pool(rows)
    assert cell.mean == cell.high == 1.0
    assert cell.low < 1.0
    assert cell.replicates.max() == 1.0


def test_differences_are_paired_by_replicate():
    noise = np.random.default_rng(0).standard_normal(400)
    base, edit = (
        table.pool([{"mean": m, "low": m - 0.2, "high": m + 0.2, "n": 30, "replicates": m + 0.1 * noise}])
        for m in (0.5, 0.4)
    )
    paired = table.paired_difference(edit, base)
    assert paired.mean == pytest.approx(-0.1)
    assert paired.half == pytest.approx(0.0, abs=1e-9)
    alone = table.paired_difference(table.Cell(0.4, 0.2, 0.6, 30, 1), base)
    assert alone.half == pytest.approx(np.hypot(0.2, 0.2))
    assert table.paired_difference(None, base) is None


def test_the_worse_of_two_classifiers():
    def row(metric, mean):
        place = {"model": "m", "method": "lcr", "strength": 8, "split": "forget"}
        return {**place, "metric": metric, "mean": mean, "low": mean, "high": mean, "n": 3}

    one, other = table.CLASSIFIERS
    rows = [row(one.rate, 0.2), row(other.rate, 0.4), row(one.closure, 0.9), row(other.closure, 0.6)]
    place = {"method": "lcr", "split": "forget", "model": "m", "strength": 8}
    assert table.worst(rows, (one.rate, other.rate), **place).mean == 0.4
    assert table.worst(rows, (one.closure, other.closure), more=True, **place).mean == 0.6
    assert table.worst([], (one.rate,), **place) is None
    assert table.worse_classifier(rows, **place) is other
    assert table.worse_classifier(rows[:1], **place) is one


def test_closure_is_zero_to_one_between_original_and_retrained(records):
    rate = table.CLASSIFIERS[0].rate
    closed = [r for r in records if r["metric"] == CLOSURE + rate and r["split"] == "forget"]
    assert {r["strength"] for r in closed} == set(K)
    source = next(
        r for r in records if r["metric"] == rate and r["method"] == "lcr" and r["split"] == "forget"
    )
    before, retrain = (
        table.find(records, method=m, split="forget", metric=rate, model="momask")
        for m in ("original", "retrain")
    )
    mine = next(r for r in closed if r["edit"] == source["edit"])
    assert mine["mean"] == pytest.approx((source["mean"] - before.mean) / (retrain.mean - before.mean))
    assert mine["low"] <= mine["mean"] <= mine["high"]
    assert not [r for r in records if r["metric"].startswith(CLOSURE) and r["split"] == "retain"]
    assert not [r for r in records if r["metric"].startswith(CLOSURE) and r["method"] != "lcr"]


def test_summary_rows_stand_in_reading_order(records):
    rows = summary.summarise(records, SELECTION).rows
    assert [row.method for row in rows[:6]] == [
        "real",
        "reconstruction-full",
        "reconstruction-retrain",
        "original",
        "retrain",
        "lcr",
    ]
    assert rows[5].kind == "selected"
    assert len(rows) == 6  # of LCR's strengths the selected one alone


def test_text_is_aligned_and_narrow(records):
    parts = summary.summary_grids(summary.summarise(records, SELECTION))
    texts = [grid_text(part) for part in parts]
    lines = [
        line for text in texts[:3] for line in text.splitlines() if line.startswith(("LCR", "orig", "D_r"))
    ]
    assert len(lines) == 9
    assert max(len(line) for text in texts for line in text.splitlines()) <= 132
    assert len({len(line) for line in texts[0].splitlines()}) == 1
    assert [part.head[0] for part in parts][:3] == ["violence", "forget prompts", "retain prompts"]
    assert SELECTION.rule.split()[0] in summary.note(summary.summarise(records, SELECTION), SELECTION)


def test_markdown_marks_the_leading_row(records):
    text = grid_markdown(summary.summary_grids(summary.summarise(records, SELECTION))[0])
    assert "| **LCR, K = 16** |" in text
    assert all(line.count("|") == text.splitlines()[0].count("|") for line in text.splitlines()[:5])


def test_strengths_have_their_own_words():
    assert summary.name_of("lcr", 16) == "LCR, K = 16"
    assert summary.name_of("uce", 75) == "UCE, 75 %"
    assert summary.name_of("finetune", 400) == "fine-tuned, 400 steps"
    assert summary.name_of("npo", 200) == "NPO, 200 steps"


def test_flagged_rates_stand_beside_corrected_ones(records):
    for part in summary.summarise(records, SELECTION).parts:
        shown = [(column.split, column.metric) for column in part.columns]
        for one in table.CLASSIFIERS:
            for split, metric in shown:
                assert metric != one.corrected or (split, one.rate) in shown


def test_the_second_classifier_has_columns_of_its_own():
    rows = make_records()
    rows += [{**row, "metric": "violence_second"} for row in rows if row["metric"] == "violence"]
    columns = {
        (column.split, column.metric)
        for column in summary.summarise(with_comparisons(rows), SELECTION).columns
    }
    assert {("forget", "violence_second_corrected"), ("retain", "induced_second")} <= columns
    assert ("forget", "gap_closure:violence_second") in columns


def test_without_a_classifier_no_violence_column():
    records = with_comparisons(make_records(violence=False))
    columns = {column.metric for column in summary.summarise(records, SELECTION).columns}
    assert VIOLENCE not in columns
    assert "gap_closure:violence" not in columns
    assert "fid" in columns
    assert any(r["metric"] == CLOSURE + "fid" for r in records)


def test_a_negative_zero_reads_as_zero():
    column = summary.TableColumn("forget", "fid", "FID", "↓", 2)
    assert summary.cell_text(table.Cell(-0.001, -0.002, 0.0, 5, 1), column) == "0.00 ±0.00"
    assert summary.cell_text(None, column) == "–"


def test_a_method_without_strengths_has_one_row():
    records = [r for r in make_records() if r["strength"] is None]
    records += [{**r, "method": "uce", "edit": "s0"} for r in records if r["method"] == "retrain"]
    rows = summary.summarise(records, Selection("uce", None, "one strength only")).rows
    assert [row.label for row in rows][-1] == "UCE"
    assert sum(row.method == "uce" for row in rows) == 1
