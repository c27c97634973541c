"""Every method on every model at the smallest size: bundles that load and move, identities, and untouched inputs."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import evaluate, train, unlearn
from hmu_tasks.methods import METHODS, method_of
from hmu_tasks.methods.shared.knobs import TunedKnobs
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks import weights
from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import read_json
from hmu_tasks.viewer.reading import read_inputs
from hmu_tasks.viewer.summary import summarise

CPU = torch.device("cpu")
CELLS = [(model, method) for model in MODELS for method in METHODS]
# Forward passes per sample, relative to the original; 1 for all others.
EXTRA_SAMPLING = {"guidance": 1.5}


@pytest.fixture(scope="module")
def matrix(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A world in which both models are trained and every method is applied to both."""
    root = tmp_path_factory.mktemp("matrix") / "world"
    shutil.copytree(finished, root)
    knobs = tiny_params()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for model in MODELS:
            for variant in train.VARIANTS:
                if not paths.component(f"base-{model}", variant).exists():
                    train.run(knobs, f"base-{model}", variant)
            for method in knobs.methods:
                unlearn.run(knobs, model, method)
        yield root


def edits(model: str, method: str) -> dict[int | None, Path]:
    """Folders of a method's edits by strength."""
    found = sorted(paths.edits(model, method).glob("*/edit.json"))
    return {json.loads(path.read_text())["strength"]: path.parent for path in found}


def motions(bundle: Bundle) -> list[np.ndarray]:
    text = padded(bundle.text.encode(["a person kicks", "a person walks in a circle", "someone waves"]))
    return bundle.model.generate(
        text,
        [40, 64, 44],
        sampling=Sampling(steps=2),
        generator=torch.Generator().manual_seed(1),
    )


@pytest.mark.parametrize(("model", "method"), CELLS)
def test_cell(matrix: Path, model: str, method: str) -> None:
    source = edits(model, "original")[None]
    original = load_bundle(source, CPU)
    assert read_json(source / "bundle.json")["model"] == model
    parts = model_named(model).parts
    before = motions(original)
    found = edits(model, method)
    for strength, folder in found.items():
        bundle = load_bundle(folder, CPU)
        report = json.loads((folder / "edit.json").read_text())
        assert (report["method"], report["seed"]) == (method, 0)
        tuned = issubclass(method_of(method).section, TunedKnobs)
        networks = len(model_named(model).networks)
        steps = networks * strength if tuned else 0
        if method == "distill" and strength:
            knobs = tiny_params().unlearn[method]
            steps = knobs.tokenizer.steps + networks * knobs.networks.steps
        assert report["cost"]["gradient_steps"] == steps
        assert report["cost"]["extra_sampling"] == (EXTRA_SAMPLING.get(method, 1.0) if strength else 1.0)
        after = motions(bundle)
        assert [m.shape for m in after] == [(40, 263), (64, 263), (44, 263)]
        assert all(np.isfinite(m).all() for m in after)
        changed = {name for name in parts if weights.digest(folder / name) != weights.digest(source / name)}
        if strength == 0:
            assert (bundle.digest, changed, report["changed_parameters"]) == (original.digest, set(), 0)
            assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))
        else:
            assert changed == set(method_of(method).changed_parts(tuple(model_named(model).networks)))
            pairs = [
                (a, b)
                for name in changed
                for a, b in zip(
                    weights.load_state(folder / name).values(),
                    weights.load_state(source / name).values(),
                    strict=True,
                )
            ]
            least = sum(
                int((a != b).sum()) if a.shape == b.shape else b.numel() - a.numel() for a, b in pairs
            )
            # Distillation also trains the rows that stay.
            rows = sum(a.numel() for a, b in pairs if a.shape != b.shape) if method == "distill" else 0
            assert least <= report["changed_parameters"] <= least + rows
            assert (report["changed_parameters"] > least) == (rows > 0)
    assert 0 in found
    assert len(found) > 1


@pytest.mark.parametrize("model", MODELS)
def test_applying_again_gives_the_same_bytes(matrix: Path, model: str) -> None:
    before = {method: weights.digest(paths.edits(model, method)) for method in (*ENDS, *METHODS)}
    for method in METHODS:
        unlearn.run(tiny_params(), model, method)
    assert {method: weights.digest(paths.edits(model, method)) for method in (*ENDS, *METHODS)} == before


@pytest.mark.parametrize("method", ["uce", "rece"])
def test_published_edits_have_no_strength(world: Path, method: str) -> None:
    unlearn.run(tiny_params({"unlearn": {method: {"published": True}}}), "momask", method)
    found = edits("momask", method)
    assert list(found) == [None]
    report = json.loads((found[None] / "edit.json").read_text())
    assert report["published"] is True
    assert report["texts"] == {"kind": "keywords", "forget": 9, "retain": 21, "scrambled": 0}
    read = ("cond_emb", "word_emb")
    assert sorted(report["edited"]) == [
        f"{part}.{one}.weight" for part in ("base", "residual") for one in read
    ]


@pytest.mark.parametrize("method", ["uce", "rece", "erasure"])
def test_words_in_the_place_of_captions(world: Path, method: str) -> None:
    knobs = {"texts": "keywords"} | ({} if method == "erasure" else {"target": "empty"})
    unlearn.run(tiny_params({"unlearn": {method: knobs}}), "momask", method)
    report = json.loads((edits("momask", method)[100] / "edit.json").read_text())
    assert report["texts"] == {"kind": "keywords", "forget": 9, "retain": 21, "scrambled": 0}
    assert len(report["edited"]) == 4


def test_more_draws_of_captions_differ(world: Path) -> None:
    unlearn.run(tiny_params({"unlearn": {"uce": {"strengths": [100], "seeds": [0, 1]}}}), "momask", "uce")
    first, second = (paths.edits("momask", "uce") / f"strength100-s{seed}" for seed in (0, 1))
    assert weights.digest(first / "base") != weights.digest(second / "base")


@pytest.mark.slow
def test_the_second_model_goes_through_evaluation(matrix: Path) -> None:
    knobs = tiny_params()
    for method in (*ENDS, "uce"):
        evaluate.run(knobs, "bamm", method)
    rows = json.loads((paths.evaluation("bamm", "uce") / "metrics.json").read_text())
    assert {(row["model"], row["method"]) for row in rows} == {("bamm", "uce")}
    assert {row["strength"] for row in rows} == {0, 100}
    choice = json.loads((paths.evaluation("bamm", "uce") / "selection.json").read_text())
    assert choice["strength"] in (0, 100)
    both = tiny_params({"run": {"models": ["momask", "bamm"], "methods": ["lcr", "uce"]}})
    inputs = read_inputs(both)
    chosen = [inputs.selection, *inputs.others]
    assert [(one.model, one.method) for one in chosen if one.model == "bamm"] == [("bamm", "uce")]
    assert {one.method for one in chosen if one.model == "momask"} >= {"lcr"}
    assert {(sample.model, sample.method) for sample in inputs.samples} >= {("bamm", "uce"), ("", "real")}
    labels = [row.label for row in summarise(inputs.records, chosen[-1], chosen).rows]
    assert f"UCE, {choice['strength']} %" in labels
    assert not any("LCR" in label for label in labels)
