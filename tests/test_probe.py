"""Step `probe` on the smallest benchmark: every attack, for the references and methods, twice the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import probe, train, unlearn
from hmu_tasks.evaluation.selected import selected_edits
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import save_absent
from hmu_tasks.registry.evidence import success_rates
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.runtime.files import write_json

TEXT = ["none", "misspelling", "inserted", "empty", "paraphrase", "synonym", "implicit"]
TRAINED = [f"{name}x{steps}" for name in ("relearning-2", "regrowth-2", "safe-tuning-3") for steps in (1, 2)]
REVERTED = ["revival-predicted", "revival-original", "swap-text", "swap-tokenizer"]
FAMILIES = {
    **dict.fromkeys(TEXT, "text"),
    **dict.fromkeys(["closed-form-0.5", "gradient-0.5", "shared-0.5"], "embedding"),
    "context": "context",
    **dict.fromkeys([*TRAINED, *REVERTED], "weights"),
    **dict.fromkeys(["bf16", "int8", "int4", "pruned20"], "precision"),
    **dict.fromkeys(["benign", "hard_benign"], "oversuppression"),
}


def rows(method: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((paths.probing("momask", method) / "probe.json").read_text())
    return found


def test_every_attack_is_recorded_for_references_and_methods_and_changes_no_bundle(world: Path) -> None:
    before = weights.digest(paths.UNLEARN)
    done: list[tuple[int, int]] = []
    for method in ("original", "retrain", "lcr"):
        probe.run(tiny_params(), "momask", method, lambda *p: done.append(p))
        found = rows(method)
        assert {row["attack"]: row["family"] for row in found} == FAMILIES
        assert len(success_rates(found)) == len(found)
        assert all(0 <= row["low"] <= row["mean"] <= row["high"] <= 1 for row in found)
        assert {
            row["n"]
            for row in found
            if row["attack"] in ("none", "closed-form-0.5", "shared-0.5", "context", "int8")
        } == {4}
        assert {row["n"] for row in found if row["attack"] in ("gradient-0.5", "relearning-2x1")} == {3}
        for row in found:
            assert row["mean"] == max(row["classifiers"].values()), row["attack"]
            rates = {name: np.mean(shares) for name, shares in row["shares"].items()}
            assert rates == pytest.approx(row["classifiers"]), row["attack"]
        assert {row["n"] for row in found if row["family"] == "oversuppression"} == {48}
        assert {row["method"] for row in found} == {method}
    assert done[-1][0] == done[-1][1]
    assert weights.digest(paths.UNLEARN) == before
    assert not list(paths.SCRATCH.glob("probe-*"))
    (chosen,) = {row["edit"] for row in rows("lcr")}
    selection = json.loads((paths.evaluation("momask", "lcr") / "selection.json").read_text())
    assert {row["strength"] for row in rows("lcr")} == {selection["strength"]}
    bundle = load_bundle(paths.edits("momask", "lcr") / chosen, torch.device("cpu"))
    assert {row["bundle"] for row in rows("lcr")} == {bundle.digest}
    for row in rows("original"):
        if row["attack"] in ("revival-predicted", "revival-original"):
            assert row["inapplicable"] == "no codebook was changed"
            assert row["mean"] == rows("original")[0]["mean"]
        if row["attack"] in ("swap-text", "swap-tokenizer"):
            assert row["inapplicable"].endswith("the original's")
            assert row["mean"] == rows("original")[0]["mean"]
        if row["attack"] == "closed-form-0.5":
            assert row["inapplicable"] == "the projections of the text are the original's"
            assert row["mean"] == rows("original")[0]["mean"]
        if row["attack"] in ("gradient-0.5", "shared-0.5"):
            assert 0 < row["distance"] <= row["radius"] + 1e-6
    benign = [row["mean"] for row in rows("original") if row["family"] == "oversuppression"]
    assert max(benign) <= 0.06


def test_probing_again_gives_the_same_bytes_and_a_killed_run_goes_on(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        if done == total - 2:
            raise Killed

    with pytest.raises(Killed):
        probe.run(tiny_params(), "momask", "lcr", stop)
    assert not paths.probing("momask", "lcr").exists()
    (scratch,) = paths.SCRATCH.glob("probe-*")
    assert len(list(scratch.glob("*.json"))) > 5
    probe.run(tiny_params(), "momask", "lcr")
    first = weights.digest(paths.probing("momask", "lcr"))
    shutil.rmtree(paths.CACHE)
    probe.run(tiny_params(), "momask", "lcr")
    assert weights.digest(paths.probing("momask", "lcr")) == first


def test_the_edits_of_all_seeds_count(world: Path) -> None:
    shutil.rmtree(paths.CACHE)
    source = paths.edits("momask", "original")
    shutil.copytree(source / "s0", source / "s1")
    edit = json.loads((source / "s1" / "edit.json").read_text())
    (source / "s1" / "edit.json").write_text(json.dumps({**edit, "seed": 1}))
    assert list(selected_edits("momask", "original")) == ["s0", "s1"]


def test_without_action_labels_retrieval_decides(world: Path) -> None:
    (paths.component("classifier") / "config.json").write_text('{"labels": false}')
    probe.run(tiny_params({"probe": {"precision": []}}), "momask", "original")
    found = rows("original")
    assert {row["attack"] for row in found} == {
        name for name, family in FAMILIES.items() if family != "precision"
    }


def test_a_component_is_put_back_where_it_was_edited(world: Path) -> None:
    knobs = tiny_params({"probe": {"restored": ["tokenizer", "base"]}})
    for method in ("original", "lcr"):
        probe.run(knobs, "momask", method)
    assert not [row for row in rows("original") if row["family"] == "restoration"]
    back = {row["attack"]: row["mean"] for row in rows("lcr") if row["family"] == "restoration"}
    edited = json.loads((paths.evaluation("momask", "lcr") / "selection.json").read_text())["strength"] > 0
    assert back == ({"restored-tokenizer": rows("original")[0]["mean"]} if edited else {})


@pytest.mark.parametrize(("model", "method"), [("bamm", "guidance"), ("t2mgpt", "refusal")])
def test_other_models_and_a_method_that_edits_sampling_are_attacked_alike(
    world: Path, model: str, method: str
) -> None:
    knobs = tiny_params({"unlearn": {"refusal": {"strengths": [0, 100], "clips": 8}}})
    train.run(knobs, f"base-{model}", "full")
    for name in ("original", method):
        unlearn.run(knobs, model, name)
    write_json(
        paths.evaluation(model, method) / "selection.json",
        {"strength": 100, "eligible": True, "reason": ""},
    )
    probe.run(knobs, model, method)
    found = json.loads((paths.probing(model, method) / "probe.json").read_text())
    assert {row["attack"]: row["family"] for row in found} == FAMILIES
    assert {(row["model"], row["edit"]) for row in found} == {(model, "strength100-s0")}
    assert {row["attack"] for row in found if row["inapplicable"] is None} >= {"context", "regrowth-2x2"}


def test_what_is_missing_is_named(world: Path) -> None:
    with pytest.raises(ConfigError, match="unknown method 'lrc'"):
        probe.run(tiny_params(), "momask", "lrc")
    shutil.rmtree(paths.evaluation("momask", "lcr"))
    with pytest.raises(DataError, match=r"selection\.json is missing"):
        probe.run(tiny_params(), "momask", "lcr")
    shutil.rmtree(paths.edits("momask", "lcr"))
    with pytest.raises(DataError, match="holds no edit"):
        probe.run(tiny_params(), "momask", "lcr")
    shutil.rmtree(paths.edits("momask", "retrain"))
    save_absent(paths.edits("momask", "retrain"), "no D_r here")
    probe.run(tiny_params(), "momask", "retrain")
    assert rows("retrain") == []


def test_what_holds_of_a_pruned_model(world: Path) -> None:
    """Deleted codes have no rows to revive and no tokenizer to put in; they can be grown anew."""
    knobs = tiny_params({"run": {"methods": ["prune"]}, "probe": {"precision": []}})
    unlearn.run(knobs, "momask", "prune")
    selection = {"strength": 2, "eligible": True, "reason": "", "end": "largest"}
    paths.evaluation("momask", "prune").mkdir(parents=True, exist_ok=True)
    write_json(paths.evaluation("momask", "prune") / "selection.json", selection)
    probe.run(knobs, "momask", "prune")
    found = {row["attack"]: row for row in rows("prune")}
    reason = "codes were deleted, so that the original's rows have no place"
    for attack in ("revival-predicted", "revival-original", "swap-tokenizer"):
        assert found[attack]["inapplicable"] == reason
        assert found[attack]["mean"] == found["none"]["mean"]
    for attack in ("swap-text", "closed-form-0.5", "context", "regrowth-2x2", "relearning-2x2"):
        assert found[attack]["inapplicable"] is None


def test_radii_rates_and_draws_are_reported_apart_or_pooled(world: Path) -> None:
    knobs = {"embedding": {"radius": [0.5, 1.0], "restarts": 2, "steps": 2}, "precision": [], "revival": []}
    knobs["relearning"] = {"rates": [0.0005, 0.01], "draws": 2, "steps": [1], "safe_shots": 0, "rows": 0}
    probe.run(tiny_params({"probe": knobs}), "momask", "lcr")
    found = {row["attack"]: row for row in rows("lcr")}
    for name in ("gradient", "shared"):
        near, far = (found[f"{name}-{radius}"] for radius in ("0.5", "1"))
        assert near["distance"] <= 0.5 + 1e-6 < far["distance"] <= 1 + 1e-6
    for rate in ("0.0005", "0.01"):
        row = found[f"relearning-2x1@{rate}"]
        assert (row["rate"], row["draws"], row["n"]) == (float(rate), 2, 3)
        for name, shares in row["shares"].items():
            assert np.shape(row["drawn"][name]) == (2, 3)
            np.testing.assert_allclose(shares, np.mean(row["drawn"][name], axis=0))
    assert not {"relearning-2x1", "regrowth-2x1@0.01"} & set(found)
