"""The frozen sentence encoder beside the small one: trained, bundled, served; the small one alone stays as it was."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_minilm import sha256_of, write_minilm
from tiny_world import tiny_params

from hmu_tasks import train, unlearn
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.methods import METHODS
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks import weights
from hmu_tasks.models.text.embeddings import embed_texts, present, stacked
from hmu_tasks.models.text.encoders import SmallTextEncoder, SmallWithMinilm, load_text
from hmu_tasks.probes.casts import to_bfloat16
from hmu_tasks.registry.packing import Clock, pack
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.bundle_files import check_part
from hmu_tasks.runtime.errors import DataError, HmuError, WeightsError

# MLflow 3.17 warns about its own type hints when its models are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")
CPU = torch.device("cpu")
DIRECTIONS, WIDTH = 8, 16
TEXTS = ["a man kicks the other one", "kick", "", "a person walks"]
SAMPLING = {"steps": 2, "cfg": 2.0, "residual_cfg": 2.0, "temperature": 1.0, "top_k": 0.9}


def knobs(source: Path, **changes: Any) -> Any:
    text = {
        "encoder": "small+minilm",
        "words": 3,
        "minilm_folder": str(source),
        "minilm_sha256": sha256_of(source),
        "minilm_directions": DIRECTIONS,
    }
    return tiny_params({"train": {"text": text | changes}})


def whole(source: Path) -> Path:
    """Train what reads text, and put the original together; returns its bundle."""
    params = knobs(source)
    for component, variant in (("text", None), ("base-momask", "full"), ("residual", "full")):
        train.run(params, component, variant)
    unlearn.run(params, "momask", "original")
    return paths.edits("momask", "original") / "s0"


def motion(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of some texts, and a motion."""
    bundle = load_bundle(folder, CPU)
    text = stacked(embed_texts(bundle.text, TEXTS), TEXTS)
    found = bundle.model.generate(
        text[:1], [40], sampling=Sampling(**SAMPLING), generator=torch.Generator().manual_seed(7)
    )
    return text.numpy(), found[0]


def test_from_training_to_a_served_motion(world: Path) -> None:
    source = write_minilm(world / "minilm")
    before = weights.digest(source)
    bundle = whole(source)
    names = {path.name for path in (bundle / "text").iterdir()}
    assert names == {
        *("config.json", "model.safetensors", "principal.safetensors"),
        *("minilm.safetensors", "minilm.json", "minilm-vocab.txt", "minilm-licence.txt"),
    }
    vectors, made = motion(bundle)
    assert vectors.shape == (4, 1 + 3, WIDTH + DIRECTIONS)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, 0, WIDTH:], axis=1), 10.0, rtol=1e-5)
    assert not vectors[:, 1:, WIDTH:].any()  # the words' states are the small encoder's
    assert present(torch.from_numpy(vectors)).sum(dim=1).tolist() == [4, 2, 2, 4]
    loaded = load_bundle(bundle, CPU)
    for network in loaded.model.networks.values():
        assert network.cond_emb.in_features == WIDTH + DIRECTIONS

    first = {path.relative_to(bundle): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    again = whole(source)
    assert {
        path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()
    } == first
    for one, other in zip(motion(again), (vectors, made), strict=True):
        assert np.array_equal(one, other)
    assert weights.digest(source) == before

    packed = world / "packed"
    pack(bundle, SAMPLING, Clock(20.0, 40, 196), packed)
    assert "transformers==" in (packed / "requirements.txt").read_text()
    import mlflow

    model = mlflow.pyfunc.load_model(str(packed), model_config={"device": "cpu"})
    (served,) = model.predict(pd.DataFrame({"prompt": TEXTS[:1], "seconds": [2.0], "seed": [7]}))
    np.testing.assert_array_equal(served, np.asarray(to_joints(made), np.float32))
    with pytest.raises(Exception, match="走"):
        model.predict(pd.DataFrame({"prompt": ["走る kick"], "seconds": [2.0], "seed": [7]}))


def test_the_small_encoder_beside_it_is_the_one_without_it(world: Path) -> None:
    """Its weights, and its columns, to the bit."""
    source = write_minilm(world / "minilm")
    alone = train.run(knobs(source, encoder="small", minilm_sha256="0" * 64), "text", None)
    small = load_text(alone, CPU)
    assert isinstance(small, SmallTextEncoder)
    trained = (alone / "model.safetensors").read_bytes()
    folder = train.run(knobs(source), "text", None)
    assert (folder / "model.safetensors").read_bytes() == trained
    both = load_text(folder, CPU)
    assert isinstance(both, SmallWithMinilm)
    for one, other in zip(both.encode(TEXTS), small.encode(TEXTS), strict=True):
        assert torch.equal(one[:, :WIDTH], other)
    assert (both.words, both.most_words) == (small.words, small.most_words)
    assert both.encode([]) == []


def test_every_method_edits_models_that_read_it(world: Path) -> None:
    source = write_minilm(world / "minilm")
    whole(source)
    for method in METHODS:
        unlearn.run(knobs(source), "momask", method)
        edits = sorted(path for path in paths.edits("momask", method).iterdir() if path.is_dir())
        vectors, made = motion(edits[-1])
        assert vectors.shape[-1] == WIDTH + DIRECTIONS, method
        assert np.isfinite(made).all(), method
        for network in load_bundle(edits[-1], CPU).model.networks.values():
            assert all(bool(values.isfinite().all()) for values in network.state_dict().values()), method


def test_precision_casts_reach_it(world: Path) -> None:
    bundle = load_bundle(whole(write_minilm(world / "minilm")), CPU)
    cast = to_bfloat16(bundle)
    assert cast.text_digest != bundle.text_digest
    one, other = (part.text.encode(TEXTS)[0][0, WIDTH:] for part in (bundle, cast))  # type: ignore[attr-defined]
    assert not torch.equal(one, other)
    torch.testing.assert_close(one, other, rtol=0, atol=1.0)


def test_what_was_changed_in_a_bundle_is_told(world: Path) -> None:
    source = write_minilm(world / "minilm")
    folder = train.run(knobs(source), "text", None)
    for name, fault in (
        ("minilm.safetensors", r"minilm\.safetensors cannot be read"),
        ("minilm.json", r"minilm\.json cannot be read"),
        ("minilm-vocab.txt", r"minilm-vocab\.txt cannot be read"),
        ("principal.safetensors", r"principal\.safetensors cannot be read"),
    ):
        other = world / f"without-{name}"
        shutil.copytree(folder, other)
        (other / name).unlink()
        with pytest.raises(WeightsError, match=fault):
            load_text(other, CPU)
    other = world / "deep"
    shutil.copytree(folder, other)
    sizes = json.loads((other / "minilm.json").read_text())
    (other / "minilm.json").unlink()  # it is a link to the one in its makers' folder
    (other / "minilm.json").write_text(json.dumps(sizes | {"num_hidden_layers": 60}))
    with pytest.raises(WeightsError, match=r"minilm\.json: 60 layers of width 16 hold more"):
        check_part(other)
    other = world / "another"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"minilm_sha256": "0" * 64}))
    with pytest.raises(WeightsError, match=r"not 0{64} as minilm_sha256 in .*config\.json says"):
        load_text(other, CPU)


def test_faults_are_told_before_anything_is_trained(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hmu_tasks.training import text

    def none(*_: object, **__: object) -> None:
        raise AssertionError("something was trained")

    monkeypatch.setattr(text, "train_text", none)
    source = write_minilm(world / "minilm")
    before = weights.digest(paths.component("text"))
    cases: list[tuple[dict[str, Any], type[HmuError], str]] = [
        ({"minilm_folder": "nowhere"}, WeightsError, "nowhere lacks model.safetensors"),
        ({"minilm_sha256": "0" * 64}, WeightsError, "as train.text.minilm_sha256 says"),
        ({"minilm_directions": 17}, DataError, r"minilm_directions is 17: \d+ sentence vectors span \d+ dir"),
    ]
    for change, kind, expected in cases:
        with pytest.raises(kind, match=expected):
            train.run(knobs(source, **change), "text", None)
    assert weights.digest(paths.component("text")) == before
