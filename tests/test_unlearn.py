"""Step `unlearn`: bundles of every method, and what an edit may touch."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import codebook, unlearn
from hmu_tasks.methods import method_of
from hmu_tasks.methods.shared.codes import load_usage
from hmu_tasks.models import model_named
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.networks import weights
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError, WeightsError
from hmu_tasks.training.loop import fit

CPU = torch.device("cpu")
MODEL = "momask"
METHODS = ("original", "retrain", "lcr")


def folder(method: str, edit: str = "s0") -> Path:
    return paths.edits(MODEL, method) / edit


def state(bundle: Path, component: str) -> dict[str, torch.Tensor]:
    return weights.load_state(bundle / component)


def changed(one: Path, other: Path) -> set[str]:
    names = set()
    for component in model_named(MODEL).parts:
        before, after = state(one, component), state(other, component)
        assert before.keys() == after.keys()
        names |= {f"{component}.{k}" for k in before if not torch.equal(before[k], after[k])}
    return names


def test_methods_are_named_as_they_are_stored(world: Path) -> None:
    assert {p.name for p in paths.edits(MODEL, "lcr").parent.iterdir()} >= set(METHODS)
    with pytest.raises(
        ConfigError, match=r"'rewrite'; choose one of original, retrain, lcr, prune, distill, uce"
    ):
        unlearn.run(tiny_params(), MODEL, "rewrite")
    with pytest.raises(ConfigError, match=r"'gpt'; choose one of momask, bamm, t2mgpt"):
        unlearn.run(tiny_params(), "gpt", "lcr")


def test_no_code_replaced_is_the_original(world: Path) -> None:
    bundle, original = (load_bundle(f, CPU) for f in (folder("lcr", "strength000-s0"), folder("original")))
    assert bundle.digest == original.digest
    report = json.loads((folder("lcr", "strength000-s0") / "edit.json").read_text())
    assert report["tokenizer"]["changed"] == {}
    assert report["replaced"] == {"0": []}


def test_lcr_changes_the_named_rows_of_the_codebook_and_nothing_else(world: Path) -> None:
    edited, original = folder("lcr", "strength002-s0"), folder("original")
    name = "quantizer.layers.0.codebook"
    assert changed(original, edited) == {f"tokenizer.{name}"}
    for component in ("base", "residual", "text"):
        assert weights.digest(edited / component) == weights.digest(original / component)
    for file in ("config.json", "statistics.safetensors"):
        assert (edited / "tokenizer" / file).read_bytes() == (original / "tokenizer" / file).read_bytes()
    report = json.loads((edited / "edit.json").read_text())
    before, after = state(original, "tokenizer")[name], state(edited, "tokenizer")[name]
    rows = (before != after).any(1).nonzero().flatten().tolist()
    assert report["replaced"] == {"0": rows}
    assert len(rows) == 2
    assert (report["method"], report["strength"], report["seed"]) == ("lcr", 2, 0)
    changes = report["tokenizer"]
    assert set(changes["changed"]) == {name}
    assert changes["changed"][name]["rows"] == rows
    assert set(changes["unchanged"]) == set(state(edited, "tokenizer")) - {name}
    usage = load_usage(paths.codebook())
    assert all(usage.forget_clips[0, rows] >= 1)


def test_bundles_of_one_model_share_the_digest_of_what_draws_codes(world: Path) -> None:
    original, edited, retrain = (
        load_bundle(f, CPU) for f in (folder("original"), folder("lcr", "strength002-s0"), folder("retrain"))
    )
    assert edited.generator_digest == original.generator_digest != retrain.generator_digest
    assert edited.digest != original.digest
    assert retrain.text_digest == original.text_digest


def test_retrain_holds_the_retain_variants(world: Path) -> None:
    for component, trained in (("tokenizer", "tokenizer"), ("base", "base-momask"), ("residual", "residual")):
        for method, variant in (("original", "full"), ("retrain", "retrain")):
            source = paths.component(trained, variant) / "model.safetensors"
            assert (folder(method) / component / "model.safetensors").read_bytes() == source.read_bytes()
    for method in ("original", "retrain"):
        report = json.loads((folder(method) / "edit.json").read_text())
        assert (report["method"], report["strength"], report["seed"]) == (method, None, 0)


def test_running_again_gives_the_same_bytes_and_leaves_the_input_alone(world: Path) -> None:
    before = {method: weights.digest(paths.edits(MODEL, method)) for method in METHODS}
    inputs = weights.digest([paths.TRAIN, paths.codebook()])
    done: list[tuple[int, int]] = []
    for method in METHODS:
        unlearn.run(tiny_params(), MODEL, method, lambda *p: done.append(p))
    assert {method: weights.digest(paths.edits(MODEL, method)) for method in METHODS} == before
    assert weights.digest([paths.TRAIN, paths.codebook()]) == inputs
    assert done == [(1, 2), (2, 2)]


def test_a_sweep_has_one_bundle_per_cell_and_the_same_noise_for_a_code(world: Path) -> None:
    knobs = tiny_params({"unlearn": {"lcr": {"strengths": [1, 3], "seeds": [0, 1], "layers": [0, 1]}}})
    unlearn.run(knobs, MODEL, "lcr")
    names = sorted(p.name for p in paths.edits(MODEL, "lcr").iterdir())
    assert names == ["strength001-s0", "strength001-s1", "strength003-s0", "strength003-s1"]
    for name in names:
        assert changed(folder("original"), folder("lcr", name)) == {
            f"tokenizer.quantizer.layers.{layer}.codebook" for layer in (0, 1)
        }
    assert changed(folder("lcr", "strength001-s0"), folder("lcr", "strength001-s1"))


@pytest.mark.parametrize(
    "knobs", [{"published": True}, {"score": "log_odds"}, {"target": "retain_mean"}, {"noise": 0.0}]
)
def test_every_form_of_lcr_changes_the_first_codebook_only(world: Path, knobs: dict[str, object]) -> None:
    unlearn.run(tiny_params({"unlearn": {"lcr": {"strengths": [2], **knobs}}}), MODEL, "lcr")
    assert changed(folder("original"), folder("lcr", "strength002-s0")) == {
        "tokenizer.quantizer.layers.0.codebook"
    }
    assert load_bundle(folder("lcr", "strength002-s0"), CPU).model.codebooks.isfinite().all()


def test_every_edit_says_what_it_cost(world: Path) -> None:
    def cost(method: str, edit: str = "s0") -> dict[str, float]:
        found: dict[str, float] = json.loads((folder(method, edit) / "edit.json").read_text())["cost"]
        return found

    ids = {role: (paths.SPLIT / f"train-{role}.txt").read_text().split() for role in ("forget", "retain")}
    nothing = {"gradient_steps": 0, "clips_read": 0, "captions_read": 0, "extra_sampling": 1.0}
    assert cost("original") == cost("lcr", "strength000-s0") == nothing
    assert cost("lcr", "strength002-s0") == nothing | {"clips_read": len(ids["forget"]) + len(ids["retain"])}
    edit = json.loads((folder("retrain") / "edit.json").read_text())
    model = load_bundle(folder("retrain"), CPU).model
    networks = (model.tokenizer.network, model.base, model.residual)
    trained = sum(p.numel() for network in networks for p in network.parameters())
    assert edit["changed_parameters"] == trained + model.codebooks.numel()
    retrain = cost("retrain")
    assert (retrain["gradient_steps"], retrain["clips_read"]) == (3 * 4, len(ids["retain"]))
    assert retrain["captions_read"] >= retrain["clips_read"]


def test_lists_of_codes_per_sub_concept_are_united(world: Path) -> None:
    usage = weights.digest(paths.codebook() / "usage.parquet")
    knobs = tiny_params({"unlearn": {"lcr": {"strengths": [3], "parts": {"kick": 2, "punch": 1}}}})
    with pytest.raises(WeightsError, match="run the codebook step"):
        unlearn.run(knobs, MODEL, "lcr")
    codebook.run(knobs)
    assert weights.digest(paths.codebook() / "usage.parquet") == usage
    unlearn.run(knobs, MODEL, "lcr")
    report = json.loads((folder("lcr", "strength003-s0") / "edit.json").read_text())
    lists = {name: found["0"] for name, found in report["parts"].items()}
    assert {name: len(found) for name, found in lists.items()} == {"kick": 2, "punch": 1}
    assert report["replaced"]["0"] == sorted({*lists["kick"], *lists["punch"]})
    kicks = load_usage(paths.codebook(), "kick")
    assert 0 < kicks.forget < load_usage(paths.codebook()).forget
    with pytest.raises(DataError, match="names crawl, but no forget clip matches it"):
        codebook.run(tiny_params({"unlearn": {"lcr": {"parts": {"crawl": 1}}}}))


def test_the_published_edit_draws_as_the_released_script_does(world: Path) -> None:
    """It builds the network between seeding and editing, so that as many values are gone before the noise."""
    knobs = tiny_params({"unlearn": {"lcr": {"strengths": [2], "published": True}}})
    unlearn.run(knobs, MODEL, "lcr")
    before, after = (
        load_tokenizer(folder(method, edit) / "tokenizer", CPU)
        for method, edit in (("original", "s0"), ("lcr", "strength002-s0"))
    )
    rows = json.loads((folder("lcr", "strength002-s0") / "edit.json").read_text())["replaced"]["0"]
    book = before.codebooks[0]
    stream = torch.Generator().manual_seed(knobs.run.seed)
    torch.empty(sum(value.numel() for value in before.network.parameters())).uniform_(generator=stream)
    noise = torch.randn((len(rows), book.shape[1]), generator=stream)
    target = json.loads((folder("lcr", "strength002-s0") / "edit.json").read_text())["targets"]["0"]
    wanted = book[target] + noise * book.std() * knobs.unlearn.lcr.noise
    torch.testing.assert_close(after.codebooks[0][rows], wanted)


def test_a_killed_training_is_continued(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint after every step
    knobs = tiny_params({"unlearn": {"npo": {"strengths": [6]}}})
    unlearn.run(knobs, MODEL, "npo")
    undisturbed = weights.digest(paths.edits(MODEL, "npo"))
    assert not list(paths.SCRATCH.glob("unlearn-*"))

    class Killed(BaseException):
        """Stands for the end of the process."""

    def die(done: int, total: int) -> None:
        assert total == 2 * 6
        if done == 10:  # before the checkpoint of this step
            raise Killed

    with pytest.raises(Killed):
        unlearn.run(knobs, MODEL, "npo", die)
    assert (
        weights.digest(paths.edits(MODEL, "npo")) == undisturbed
    )  # what was there stays until it is replaced
    (state,) = paths.SCRATCH.glob("unlearn-0-momask-npo-*/s0/residual/checkpoint.pt")
    steps: list[int] = []
    unlearn.run(knobs, MODEL, "npo", lambda done, _: steps.append(done))
    assert steps == list(range(10, 13))
    assert weights.digest(paths.edits(MODEL, "npo")) == undisturbed
    assert not state.exists()


def test_a_component_that_the_descriptor_does_not_name_is_refused(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlearn, "method_of", lambda name: replace(method_of(name), changes=("base",)))
    before = weights.digest(paths.edits(MODEL, "lcr"))
    with pytest.raises(ConfigError, match="lcr changes tokenizer, which its descriptor does not name"):
        unlearn.run(tiny_params(), MODEL, "lcr")
    assert weights.digest(paths.edits(MODEL, "lcr")) == before


def test_missing_inputs_are_named(world: Path) -> None:
    (paths.codebook() / "usage.parquet").unlink()
    with pytest.raises(WeightsError, match="run the codebook step"):
        unlearn.run(tiny_params(), MODEL, "lcr")
    (folder("original") / "tokenizer" / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"tokenizer/config\.json"):
        unlearn.run(tiny_params(), MODEL, "lcr")
