"""Step `evaluate` on the smallest benchmark: records, selection, samples, and that reruns draw nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_world import tiny_params

from hmu_tasks import evaluate, paths
from hmu_tasks.errors import DataError
from hmu_tasks.models import weights

METHODS = ("original", "retrain", "lcr")
FIELDS = {
    "dataset",
    "concept",
    "model",
    "method",
    "edit",
    "knob",
    "seed",
    "split",
    "metric",
    "mean",
    "low",
    "high",
}
FIELDS |= {"n", "repeats", "values"}


def rows(method: str, model: str = "momask") -> list[dict[str, Any]]:
    return json.loads((paths.evaluation(model, method) / "metrics.json").read_text())


def figure(method: str, edit: str, split: str, metric: str) -> dict[str, Any]:
    (found,) = (r for r in rows(method) if (r["edit"], r["split"], r["metric"]) == (edit, split, metric))
    return found


def test_records_are_complete_and_finite(world: Path) -> None:
    for model, methods in (("momask", METHODS), ("real", ("real",))):
        for method in methods:
            for row in rows(method, model):
                assert set(row) >= FIELDS
                assert len(row["values"]) == row["repeats"]
                assert row["mean"] == pytest.approx(np.mean(row["values"]))
                if row["repeats"] == 1:
                    assert row["low"] is None
                    assert row["high"] is None
                else:
                    assert row["low"] <= row["mean"] <= row["high"]
                assert row["model"] == model


def test_a_bundle_that_equals_the_original_has_its_figures(world: Path) -> None:
    compared = 0
    for row in rows("lcr"):
        if row["edit"] == "k000-s0":
            twin = figure("original", "s0", row["split"], row["metric"])
            assert row["values"] == twin["values"][: row["repeats"]]
            assert row["bundle"] == twin["bundle"]
            compared += 1
    assert compared > 30


def test_the_selected_knob_is_measured_fully_and_the_others_less(world: Path) -> None:
    selection = json.loads((paths.evaluation("momask", "lcr") / "selection.json").read_text())
    assert selection["knob"] in (0, 2)
    for knob in (0, 2):
        chosen = knob == selection["knob"]
        found = [r for r in rows("lcr") if r["knob"] == knob]
        assert {r["repeats"] for r in found if r["split"] == "forget" and r["metric"] == "fid"} == {
            2 if chosen else 1
        }
        assert any(r["metric"] == "multimodality" for r in found) == chosen
        assert any(r["split"] == "explicit" for r in found) == chosen
    for method in ("original", "retrain"):
        assert not (paths.evaluation("momask", method) / "selection.json").exists()


def test_real_rows_hold_reconstructions_and_no_distance_to_themselves(world: Path) -> None:
    found = rows("real", "real")
    assert {r["method"] for r in found} == {"real", "reconstruction-full", "reconstruction-retain"}
    assert not any(r["metric"] in ("fid", "kid") for r in found if r["method"] == "real")
    errors = [r["mean"] for r in found if r["metric"] == "mpjpe"]
    assert len(errors) == 4
    assert all(0 < error < 2 for error in errors)


def test_samples_are_named_arrays_of_the_same_prompts_for_every_method(world: Path) -> None:
    prompts = {}
    for model, method in (("real", "real"), *(("momask", m) for m in METHODS)):
        folder = paths.evaluation(model, method)
        labels = json.loads((folder / "samples.json").read_text())
        with np.load(folder / "samples.npz") as arrays:
            assert sorted(arrays) == sorted(label["key"] for label in labels)
            for label in labels:
                assert arrays[label["key"]].shape == (label["frames"], 22, 3)
                assert arrays[label["key"]].dtype == np.float32
        prompts[method] = [(label["split"], label["clip_id"], label["prompt"]) for label in labels]
    assert [split for split, _, _ in prompts["original"]] == ["forget", "forget", "retain"]
    assert all(found == prompts["original"] for found in prompts.values())


def test_evaluating_again_gives_the_same_bytes_and_draws_nothing(world: Path) -> None:
    before = {m: weights.digest(paths.evaluation("momask", m)) for m in METHODS}
    cache = {p.name: p.stat().st_mtime_ns for p in paths.CACHE.iterdir()}
    done: list[tuple[int, int]] = []
    for method in METHODS:
        evaluate.run(tiny_params(), "momask", method, lambda *p: done.append(p))
    assert {m: weights.digest(paths.evaluation("momask", m)) for m in METHODS} == before
    assert {p.name: p.stat().st_mtime_ns for p in paths.CACHE.iterdir()} == cache
    assert done == [(1, 2), (2, 2), (1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_cache_may_be_thrown_away(world: Path) -> None:
    before = weights.digest(paths.evaluation("momask", "original"))
    for file in paths.CACHE.iterdir():
        file.unlink()
    evaluate.run(tiny_params(), "momask", "original")
    assert weights.digest(paths.evaluation("momask", "original")) == before


def test_a_dataset_without_labels_is_chosen_by_distance(world: Path) -> None:
    (paths.component("classifier") / "config.json").write_text('{"labels": false}')
    for method in METHODS:
        evaluate.run(tiny_params(), "momask", method)
    assert not any("violence" in r["metric"] for r in rows("lcr"))
    assert (paths.evaluation("momask", "lcr") / "selection.json").exists()


def test_missing_inputs_say_what_to_run(world: Path) -> None:
    shutil.rmtree(paths.edits("momask", "retrain"))
    with pytest.raises(DataError, match="holds no edit"):
        evaluate.run(tiny_params(), "momask", "retrain")
    (paths.SPLIT / "test-forget.txt").write_text("")
    with pytest.raises(DataError, match=r"test-forget\.txt is empty"):
        evaluate.run(tiny_params(), "momask", "original")
