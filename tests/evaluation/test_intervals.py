"""Records: which interval they carry, from what, and how many prompts stand behind them."""

from pathlib import Path

import numpy as np
import pytest

from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.measurements import Measured
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.evaluation.record_files import read_records, write_records
from hmu_tasks.evaluation.splits import Split
from hmu_tasks.metrics.bootstrap import DRAWS, limits, mean_replicates, split_weights
from hmu_tasks.metrics.inputs import Influence
from hmu_tasks.metrics.stats import wilson_interval
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.training.loop.batches import CaptionWords


def measured(rows: list[float], *, repeats: int = 1, name: str = "violence", twins: bool = False) -> Measured:
    n = len(rows) // repeats
    asked = Prompts([CaptionWords("", [])] * len(rows), [40] * len(rows), n, repeats)
    origins = [str(i // 2) for i in range(n)] if twins else None
    return Measured(Split("forget", asked, origins=origins), {name: np.array(rows)})


def test_clips_of_one_origin_and_repeats_are_resampled() -> None:
    rows = ([1.0, 1.0, 0.0, 0.0] * 10 + [0.0] * 40) * 2
    found = measured(rows, repeats=4, twins=True)
    (row,) = records(found, {"edit": "s0"}, seed=1)
    weights = split_weights("forget", clusters=20, repeats=4, seed=1)
    expected = mean_replicates(np.array(rows).reshape(4, 40), np.arange(40) // 2, weights)
    assert row["replicates"] == pytest.approx(expected, abs=1e-7)
    assert (row["low"], row["high"]) == pytest.approx(np.clip(limits(expected), 0, 1))
    assert (row["interval"], row["n"], row["repeats"], row["edit"]) == ("bootstrap", 40, 4, "s0")
    assert (row["mean"], row["values"]) == (0.25, [0.5, 0.0, 0.5, 0.0])
    (alone,) = records(measured(rows, repeats=4), {}, seed=1)
    assert alone["high"] - alone["low"] < row["high"] - row["low"]


def test_a_record_names_what_was_measured_and_by_what() -> None:
    found = measured([0.0, 1.0] * 20)
    (row,) = records(found, {}, seed=1, bundle="b", evaluator="e", classifiers="c")
    assert (row["bundle"], row["evaluator"], row["classifiers"]) == ("b", "e", "c")
    (bare,) = records(found, {}, seed=1)
    assert not {"bundle", "evaluator", "classifiers"} & set(bare)


def test_parts_of_a_split_are_resampled_with_it() -> None:
    found = measured([0.0, 1.0] * 20)
    part = found.part("forget-keyword", np.arange(40) < 40)
    assert part is not None
    (whole,), (same,) = (records(one, {}, seed=1) for one in (found, part))
    assert np.array_equal(whole["replicates"], same["replicates"])


def test_a_share_of_nothing_or_all_is_not_certain() -> None:
    (none,) = records(measured([0.0] * 40, twins=True), {}, seed=1)
    sure = wilson_interval(0, 20)
    assert (none["interval"], none["low"], none["high"]) == ("wilson", sure.low, sure.high)
    assert none["high"] > 0.1
    (every,) = records(measured([1.0] * 80, repeats=2), {}, seed=1)
    assert (every["interval"], every["high"], every["low"]) == ("wilson", 1.0, wilson_interval(40, 40).low)
    (same,) = records(measured([1.0] * 40, name="mm_dist"), {}, seed=1)
    assert (same["interval"], same["low"], same["high"]) == ("bootstrap", 1.0, 1.0)


def test_metrics_of_a_whole_set_and_prompts_that_do_not_count() -> None:
    found = measured([np.nan, 1.0, 3.0, np.nan], name="mm_safe")
    found.whole.update({"fid": [2.0], "ncs_rank_median": [4.0]})
    found.influence["fid"] = Influence(np.array([[0.1, -0.1, 0.0, 0.0]]), np.array([[0.0, 0.0, 0.2, -0.2]]))
    found.split.real = np.zeros((4, 7))
    safe, fid, median = records(found, {}, seed=0)
    assert (safe["n"], safe["mean"]) == (2, 2.0)
    assert (fid["n"], fid["interval"], fid["width"]) == (4, "jackknife", 7)
    assert fid["low"] < 2.0 < fid["high"]
    assert (median["interval"], median["low"]) == (None, None)
    assert "replicates" not in median
    # Real motions of other clips vary on their own.
    found.split.real_clusters = np.array([0, 0, 1, 1])
    assert not np.array_equal(records(found, {}, seed=0)[1]["replicates"], fid["replicates"])


def test_records_return_from_their_files(tmp_path: Path) -> None:
    found = measured([0.0, 1.0] * 20)
    found.whole["ncs_rank_median"] = [4.0]
    rows = records(found, {"method": "m"}, seed=0)
    write_records(rows, tmp_path)
    first = (tmp_path / "replicates.npz").read_bytes()
    back = read_records(tmp_path)
    assert len(back[0]["replicates"]) == DRAWS
    assert np.array_equal(back[0]["replicates"], rows[0]["replicates"])
    assert back[1] == rows[1]
    write_records(back, tmp_path)
    assert (tmp_path / "replicates.npz").read_bytes() == first
    (tmp_path / "metrics.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="2 rows for 0 records"):
        read_records(tmp_path)
    (tmp_path / "replicates.npz").unlink()
    with pytest.raises(DataError, match="missing beside"):
        read_records(tmp_path)
    with pytest.raises(DataError, match="evaluated first"):
        read_records(tmp_path / "none")
