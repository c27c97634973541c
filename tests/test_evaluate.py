"""Step `evaluate` on the smallest benchmark: records, selection, samples, and that reruns sample nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_world import tiny_params

from hmu_tasks import evaluate, unlearn
from hmu_tasks.metrics import ROLES, metric
from hmu_tasks.metrics.bootstrap import DRAWS
from hmu_tasks.metrics.records import DATA_ROWS
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import save_absent
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError

METHODS = ("original", "retrain", "lcr")
FIELDS = {
    "dataset",
    "concept",
    "model",
    "method",
    "edit",
    "strength",
    "seed",
    "split",
    "metric",
    "mean",
    "low",
    "high",
}
FIELDS |= {"n", "repeats", "values", "interval"}


# A metric of a whole set of motions of which no motion has an influence value.
UNSURE = {"ncs_rank_median"}
BY_INFLUENCE = {"fid", "kid", "diversity", "multimodality"}


def rows(method: str, model: str = "momask") -> list[dict[str, Any]]:
    return json.loads((paths.evaluation(model, method) / "metrics.json").read_text())


def selection(method: str) -> dict[str, Any]:
    return json.loads((paths.evaluation("momask", method) / "selection.json").read_text())


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
                assert (row["interval"] is None) == (row["metric"] in UNSURE)
                assert (row["interval"] == "jackknife") == (row["metric"] in BY_INFLUENCE)
                if row["interval"] is None:
                    assert row["low"] is None
                    assert row["high"] is None
                else:
                    assert row["low"] <= row["mean"] + 1e-9
                    assert row["mean"] <= row["high"] + 1e-9
                assert ROLES[row["split"]] in metric(row["metric"]).better
                assert ("width" in row) == (row["metric"] == "fid")
                assert row["model"] == model
            with np.load(paths.evaluation(model, method) / "replicates.npz") as archive:
                table = archive["replicates"]
            assert table.shape == (len(rows(method, model)), DRAWS)
            known = np.isfinite(table).any(axis=1)
            assert known.tolist() == [row["metric"] not in UNSURE for row in rows(method, model)]


def test_a_bundle_that_equals_the_original_has_its_figures(world: Path) -> None:
    compared = 0
    for row in rows("lcr"):
        if row["edit"] == "strength000-s0":
            twin = figure("original", "s0", row["split"], row["metric"])
            assert row | {"method": "", "edit": "", "strength": 0} == twin | {
                "method": "",
                "edit": "",
                "strength": 0,
            }
            assert row["bundle"] == twin["bundle"]
            compared += 1
    assert compared > 30


def test_only_the_selected_knob_is_measured_on_test(world: Path) -> None:
    chosen = selection("lcr")
    assert chosen["strength"] in (0, 2)
    assert {"eligible", "closure", "loss", "induced", "end", "excluded"} <= set(chosen)
    assert set(chosen["loss"]) == {"mean", "low", "high", "standard_error"}
    for strength in (0, 2):
        found = {r["split"] for r in rows("lcr") if r["strength"] == strength}
        if strength == chosen["strength"]:
            assert {"forget", "retain", "explicit", *evaluate.VALIDATION} <= found
            assert any(r["metric"] == "multimodality" for r in rows("lcr") if r["strength"] == strength)
        else:
            assert found == set(evaluate.VALIDATION)
    for method in ("original", "retrain"):
        assert not (paths.evaluation("momask", method) / "selection.json").exists()
        assert {"forget", "forget-val"} <= {r["split"] for r in rows(method)}


def test_real_rows_hold_reconstructions_and_no_distance_to_themselves(world: Path) -> None:
    found = rows("real", "real")
    assert {r["method"] for r in found} == set(DATA_ROWS)
    assert not any(r["metric"] in ("fid", "kid", "ncs1", "ncs_rank") for r in found if r["method"] == "real")
    new = {r["split"]: r["mean"] for r in found if (r["method"], r["metric"]) == ("fresh-real", "fid")}
    assert all(value > 0 for value in new.values())
    assert "forget" in new
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
        # Motions on which the classifiers disagree come on top, and differ between methods.
        disputed = [label for label in labels if label.get("disputed")]
        assert all(len(set(label["flagged"].values())) == 2 for label in disputed)
        prompts[method] = [
            (label["split"], label["clip_id"], label["prompt"]) for label in labels if label not in disputed
        ]
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
    assert done == [(1, 2), (2, 2), (1, 2), (2, 2), (1, 3), (2, 3), (3, 3)]


def test_the_cache_may_be_thrown_away(world: Path) -> None:
    before = weights.digest(paths.evaluation("momask", "original"))
    for file in paths.CACHE.iterdir():
        file.unlink()
    evaluate.run(tiny_params(), "momask", "original")
    assert weights.digest(paths.evaluation("momask", "original")) == before


def codes() -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in paths.CACHE.glob("codes-*")}


def test_a_killed_evaluation_goes_on_where_it_was(world: Path) -> None:
    knobs = tiny_params()
    unlearn.run(
        knobs, "momask", "rece"
    )  # not a method of the default run, so that none of its codes are cached yet
    before = codes()

    def kill(done: int, total: int) -> None:
        if done == 2:  # both strengths are measured on validation, the selected one is not on test yet
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate.run(knobs, "momask", "rece", kill)
    assert not paths.evaluation("momask", "rece").exists()
    killed = codes()
    # Strength 0 is the original, whose codes are there; the other sampled one repeat of each validation split.
    assert len(killed) - len(before) == 2
    done: list[tuple[int, int]] = []
    evaluate.run(knobs, "momask", "rece", lambda *p: done.append(p))
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert killed.items() <= codes().items()
    assert {r["edit"] for r in rows("rece")} == {"strength000-s0", "strength100-s0"}


def test_another_metric_draws_nothing(world: Path) -> None:
    before, cached = rows("original"), codes()
    evaluate.run(tiny_params({"evaluate": {"diversity_pairs": 3}}), "momask", "original")
    after = rows("original")
    assert codes() == cached
    changed = {
        new["metric"] for old, new in zip(before, after, strict=True) if old["values"] != new["values"]
    }
    assert changed == {"diversity"}


def test_a_dataset_without_labels_is_chosen_by_distance(world: Path) -> None:
    (paths.component("classifier") / "config.json").write_text('{"labels": false}')
    for method in METHODS:
        evaluate.run(tiny_params(), "momask", method)
    assert not any("violence" in r["metric"] for r in rows("lcr"))
    assert selection("lcr")["metric"] in ("fid", "strength")
    # What is left to tell whether the motions show the concept: who they find among the real ones.
    for split in ("forget", "forget-val", "explicit", "implicit"):
        assert figure("original", "s0", split, "ncs1")["n"] > 0


def test_without_retraining_the_reason_comes_from_its_evaluation(world: Path) -> None:
    """A worker has the direct inputs of this stage only, and those do not hold the bundles of D_r."""
    shutil.rmtree(paths.edits("momask", "retrain"))
    save_absent(paths.edits("momask", "retrain"), "no checkpoint of it was published")
    evaluate.run(tiny_params(), "momask", "retrain")
    assert rows("retrain") == []
    shutil.rmtree(paths.edits("momask", "retrain"))
    shutil.rmtree(paths.edits("momask", "original"))
    evaluate.run(tiny_params(), "momask", "lcr")
    found = selection("lcr")
    assert (found["metric"], found["closure"]) == ("strength", None)
    assert "no checkpoint of it was published" in found["reason"]


def test_missing_inputs_say_what_to_run(world: Path) -> None:
    shutil.rmtree(paths.edits("momask", "retrain"))
    with pytest.raises(DataError, match="holds no edit"):
        evaluate.run(tiny_params(), "momask", "retrain")
    (paths.SPLIT / "test-forget.txt").write_text("")
    with pytest.raises(DataError, match=r"test-forget\.txt is empty"):
        evaluate.run(tiny_params(), "momask", "original")


def test_a_missing_reference_is_named(world: Path) -> None:
    shutil.rmtree(paths.evaluation("momask", "original"))
    with pytest.raises(DataError, match=r"original.*evaluated first"):
        evaluate.run(tiny_params(), "momask", "lcr")
