"""Step `unlearn`: bundles of every method, and what an edit may touch."""

import json
from pathlib import Path

import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import paths, unlearn
from hmu_tasks.errors import ConfigError, WeightsError
from hmu_tasks.methods.codes import load_usage
from hmu_tasks.models import store, weights

CPU = torch.device("cpu")
MODEL = "momask"
METHODS = ("original", "retrain", "lcr")


def folder(method: str, edit: str = "s0") -> Path:
    return paths.edits(MODEL, method) / edit


def state(bundle: Path, component: str) -> dict[str, torch.Tensor]:
    return weights.load_state(bundle / component)


def changed(one: Path, other: Path) -> set[str]:
    names = set()
    for component in store.COMPONENTS:
        before, after = state(one, component), state(other, component)
        assert before.keys() == after.keys()
        names |= {f"{component}.{k}" for k in before if not torch.equal(before[k], after[k])}
    return names


def test_methods_are_named_as_they_are_stored(world: Path) -> None:
    assert sorted(p.name for p in (paths.UNLEARN / MODEL).iterdir()) == sorted(METHODS)
    with pytest.raises(ConfigError, match=r"'rewrite'; choose one of original, retrain, lcr, uce"):
        unlearn.run(tiny_params(), MODEL, "rewrite")
    with pytest.raises(ConfigError, match=r"'gpt'; choose one of momask, bamm"):
        unlearn.run(tiny_params(), "gpt", "lcr")


def test_no_code_replaced_is_the_original(world: Path) -> None:
    bundle, original = (store.load_bundle(f, CPU) for f in (folder("lcr", "k000-s0"), folder("original")))
    assert bundle.digest == original.digest
    report = json.loads((folder("lcr", "k000-s0") / "edit.json").read_text())
    assert report["tokenizer"]["changed"] == {}
    assert report["replaced"] == {"0": []}


def test_lcr_changes_the_named_rows_of_the_codebook_and_nothing_else(world: Path) -> None:
    edited, original = folder("lcr", "k002-s0"), folder("original")
    name = "quantizer.layers.0.codebook"
    assert changed(original, edited) == {f"tokenizer.{name}"}
    for component in ("base", "residual", "text"):
        assert weights.digest(edited / component) == weights.digest(original / component)
    for file in ("config.json", "mean.npy", "std.npy"):
        assert (edited / "tokenizer" / file).read_bytes() == (original / "tokenizer" / file).read_bytes()
    report = json.loads((edited / "edit.json").read_text())
    before, after = state(original, "tokenizer")[name], state(edited, "tokenizer")[name]
    rows = (before != after).any(1).nonzero().flatten().tolist()
    assert report["replaced"] == {"0": rows}
    assert len(rows) == 2
    assert (report["method"], report["knob"], report["seed"]) == ("lcr", 2, 0)
    proof = report["tokenizer"]
    assert set(proof["changed"]) == {name}
    assert proof["changed"][name]["rows"] == rows
    assert set(proof["unchanged"]) == set(state(edited, "tokenizer")) - {name}
    usage = load_usage(paths.CODEBOOK)
    assert all(usage.forget_clips[0, rows] >= 1)


def test_bundles_of_one_model_share_the_digest_of_what_draws_codes(world: Path) -> None:
    original, edited, gold = (
        store.load_bundle(f, CPU) for f in (folder("original"), folder("lcr", "k002-s0"), folder("retrain"))
    )
    assert edited.generator_digest == original.generator_digest != gold.generator_digest
    assert edited.digest != original.digest
    assert gold.text_digest == original.text_digest


def test_retrain_holds_the_retain_variants(world: Path) -> None:
    for component, trained in (("tokenizer", "tokenizer"), ("base", "base-momask"), ("residual", "residual")):
        for method, variant in (("original", "full"), ("retrain", "retain")):
            source = paths.component(trained, variant) / "model.safetensors"
            assert (folder(method) / component / "model.safetensors").read_bytes() == source.read_bytes()
    for method in ("original", "retrain"):
        report = json.loads((folder(method) / "edit.json").read_text())
        assert (report["method"], report["knob"], report["seed"]) == (method, None, 0)


def test_running_again_gives_the_same_bytes_and_leaves_the_input_alone(world: Path) -> None:
    before = {method: weights.digest(paths.edits(MODEL, method)) for method in METHODS}
    inputs = weights.digest([paths.TRAIN, paths.CODEBOOK])
    done: list[tuple[int, int]] = []
    for method in METHODS:
        unlearn.run(tiny_params(), MODEL, method, lambda *p: done.append(p))
    assert {method: weights.digest(paths.edits(MODEL, method)) for method in METHODS} == before
    assert weights.digest([paths.TRAIN, paths.CODEBOOK]) == inputs
    assert done == [(1, 2), (2, 2)]


def test_a_sweep_has_one_bundle_per_cell_and_the_same_noise_for_a_code(world: Path) -> None:
    knobs = tiny_params({"unlearn": {"lcr": {"codes": [1, 3], "seeds": [0, 1], "layers": [0, 1]}}})
    unlearn.run(knobs, MODEL, "lcr")
    names = sorted(p.name for p in paths.edits(MODEL, "lcr").iterdir())
    assert names == ["k001-s0", "k001-s1", "k003-s0", "k003-s1"]
    for name in names:
        assert changed(folder("original"), folder("lcr", name)) == {
            f"tokenizer.quantizer.layers.{layer}.codebook" for layer in (0, 1)
        }
    assert changed(folder("lcr", "k001-s0"), folder("lcr", "k001-s1"))


@pytest.mark.parametrize(
    "knobs", [{"published": True}, {"score": "log_odds"}, {"target": "retain_mean"}, {"noise": 0.0}]
)
def test_every_form_of_lcr_changes_the_first_codebook_only(world: Path, knobs: dict[str, object]) -> None:
    unlearn.run(tiny_params({"unlearn": {"lcr": {"codes": [2], **knobs}}}), MODEL, "lcr")
    assert changed(folder("original"), folder("lcr", "k002-s0")) == {"tokenizer.quantizer.layers.0.codebook"}
    assert store.load_bundle(folder("lcr", "k002-s0"), CPU).model.codebooks.isfinite().all()


def test_missing_inputs_are_named(world: Path) -> None:
    (paths.CODEBOOK / "usage.parquet").unlink()
    with pytest.raises(WeightsError, match="run the codebook step"):
        unlearn.run(tiny_params(), MODEL, "lcr")
    (folder("original") / "tokenizer" / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"tokenizer/config\.json"):
        unlearn.run(tiny_params(), MODEL, "lcr")
