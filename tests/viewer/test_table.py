import csv
import io
import json

import numpy as np
import pytest
from fake_report import SELECTION, K, make_records

from hmu_tasks.metrics.closures import with_closures
from hmu_tasks.viewer import summary, table
from hmu_tasks.viewer.grid import grid_markdown, grid_text
from hmu_tasks.viewer.intervals import crossed_interval
from hmu_tasks.viewer.table import CLOSURE, VIOLENCE, Selection


@pytest.fixture(scope="module")
def records():
    return with_closures(make_records(old=True))


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
    known = [row for row in rows if row["low"]]
    assert all(float(row["low"]) <= float(row["mean"]) <= float(row["high"]) for row in known)
    assert {row["split"] for row in rows if not row["low"]} == {"forget-val", "retain-val"}


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
    both = table.pool([one, {**one, "mean": 0.6, "n": 20}])
    # Student's t with one degree of freedom, 12.706 standard errors, and the edits' own 0.15 beside it.
    assert both.mean == pytest.approx(0.55)
    assert both.half == pytest.approx(np.hypot(12.706 * 0.05, 0.15), rel=1e-3)
    assert (both.n, both.edits) == (20, 2)
    # With the repeats known, what all edits share in a repeat counts once and is not lost in the mean of edits.
    values = [[0.4, 0.5, 0.6], [0.5, 0.6, 0.7]]
    crossed = table.pool([{**one, "mean": float(np.mean(v)), "values": v} for v in values])
    assert crossed.half == pytest.approx(crossed_interval(np.array(values)))
    assert crossed.half > 0.1
    assert table.pool([]) is None
    assert table.pool([{**one, "mean": float("nan")}]) is None


def test_differences_are_paired_by_repeat():
    base = {"mean": 0.5, "low": 0.3, "high": 0.7, "n": 30, "values": [0.3, 0.5, 0.7]}
    edit = {"mean": 0.4, "low": 0.2, "high": 0.6, "n": 30, "values": [0.2, 0.4, 0.6]}
    paired = table.paired_difference([edit], [base])
    assert paired.mean == pytest.approx(-0.1)
    assert paired.half == pytest.approx(0.0, abs=1e-9)
    alone = table.paired_difference([{**edit, "values": []}], [base])
    assert alone.half == pytest.approx(np.hypot(0.2, 0.2))
    assert table.paired_difference([], [base]) is None


def test_closure_is_zero_to_one_between_original_and_retrained(records):
    closed = [r for r in records if r["metric"] == CLOSURE + VIOLENCE and r["split"] == "forget"]
    assert {r["strength"] for r in closed} == set(K)
    source = next(
        r for r in records if r["metric"] == VIOLENCE and r["method"] == "lcr" and r["split"] == "forget"
    )
    before, retrain = (
        table.find(records, method=m, split="forget", metric=VIOLENCE, model="momask")
        for m in ("original", "retrain")
    )
    mine = next(r for r in closed if r["edit"] == source["edit"])
    # Fewer repeats on the sweep: paired with the first ones of original and D_r.
    assert mine["mean"] == pytest.approx(
        (source["mean"] - before.mean) / (retrain.mean - before.mean), abs=0.05
    )
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
        line for text in texts[:2] for line in text.splitlines() if line.startswith(("LCR", "orig", "D_r"))
    ]
    assert len(lines) == 6
    assert max(len(line) for text in texts for line in text.splitlines()) <= 132
    assert len({len(line) for line in texts[0].splitlines()}) == 1
    assert [part.head[0] for part in parts][:2] == ["forget prompts", "retain prompts"]
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


def test_without_a_classifier_no_violence_column():
    records = with_closures(make_records(violence=False))
    columns = {column.metric for column in summary.summarise(records, SELECTION).columns}
    assert VIOLENCE not in columns
    assert CLOSURE + VIOLENCE not in columns
    assert "fid" in columns
    assert any(r["metric"] == CLOSURE + "fid" for r in records)


def test_a_negative_zero_reads_as_zero():
    column = summary.all_parts()[0].columns[0]
    assert summary.cell_text(table.Cell(-0.001, -0.002, 0.0, 5, 1), column) == "0.00 ±0.00"
    assert summary.cell_text(None, column) == "–"


def test_a_method_without_strengths_has_one_row():
    records = [r for r in make_records() if r["strength"] is None]
    records += [{**r, "method": "uce", "edit": "s0"} for r in records if r["method"] == "retrain"]
    rows = summary.summarise(records, Selection("uce", None, "one strength only")).rows
    assert [row.label for row in rows][-1] == "UCE"
    assert sum(row.method == "uce" for row in rows) == 1
