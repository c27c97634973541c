"""The served model: the evaluated motions come out, by seed, alone or in company; what is not allowed is told."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from registered_world import selected
from served import ROWS, SAMPLING, model, packed

from hmu_tasks.models.networks import weights
from hmu_tasks.runtime import paths

__all__ = ["model", "packed"]
# MLflow 3.17 warns about its own type hints when its models are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")


def test_a_motion_says_its_rate_and_its_joints(model: Any) -> None:
    table = pd.DataFrame(ROWS).iloc[:1]
    (plain,) = model.predict(table)
    (found,) = model.predict(table, params={"output": "motion"})
    assert found["fps"] == 20.0
    assert found["names"][0] == "pelvis"
    assert len(found["names"]) == 22
    np.testing.assert_allclose(found["joints"], plain)


def test_it_draws_what_was_evaluated(finished: Path, model: Any) -> None:
    import torch

    from hmu_tasks.data.motion.features import to_joints
    from hmu_tasks.models.generators.bundle import load_bundle
    from hmu_tasks.models.generators.text_to_motion import Sampling
    from hmu_tasks.models.text.embeddings import padded

    cpu = torch.device("cpu")
    bundle = load_bundle(finished / paths.edits("momask", "lcr") / selected(finished), cpu)
    motion = bundle.model.generate(
        padded(bundle.text.encode(["a man kicks"])),
        [64],
        sampling=Sampling(**SAMPLING),
        generator=torch.Generator().manual_seed(7),
    )[0]
    table = pd.DataFrame(ROWS)
    first, second = model.predict(table)
    assert (first.shape, second.shape) == ((40, 22, 3), (64, 22, 3))
    np.testing.assert_array_equal(second, np.asarray(to_joints(motion), np.float32))
    np.testing.assert_array_equal(model.predict(table.iloc[1:])[0], second)
    (features,) = model.predict(table.iloc[1:], params={"output": "features"})
    np.testing.assert_array_equal(features, motion)
    other = model.predict(table.assign(seed=8))[1]
    assert np.abs(other - second).max() > 0


def test_input_comes_in_several_forms(model: Any) -> None:
    wanted = model.predict(pd.DataFrame(ROWS))
    records = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
    for form in (ROWS, records, pd.DataFrame(ROWS)[["seed", "prompt", "seconds"]]):
        for one, other in zip(model.predict(form), wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    (whole,) = model.predict({"prompt": "a person walks", "seconds": 2, "seed": 0})
    np.testing.assert_array_equal(whole, wanted[0])


WRONG = [
    ({"prompt": ["", "x"]}, "row 0: the prompt is empty or not text: ''"),
    ({"prompt": ["x", " .!"]}, "row 1: the prompt is empty"),
    ({"prompt": [None, "x"]}, "row 0: the prompt is empty or not text"),
    ({"prompt": [3, 4]}, "row 0: the prompt is empty or not text: '3'"),
    ({"prompt": ["x", "y" * 1000]}, "row 1: the prompt has 1000 characters, at most 400 are taken"),
    ({"seconds": [2.0, 60.0]}, "row 1: seconds is 60; motions last 2 to 9.8 s"),
    ({"seconds": [2.0, float("nan")]}, "row 1: seconds is missing, and this model cannot predict"),
    ({"seconds": [None, None]}, "row 0: seconds is missing, and this model cannot predict"),
    ({"seconds": [float("inf"), 2.0]}, "row 0: seconds is 'inf', which is not a number"),
    ({"seconds": ["2", "3"]}, "row 0: seconds is '2', which is not a number"),
    ({"seed": [0, -1]}, "row 1: seed is -1"),
    ({"seed": [0.5, 1]}, "row 0: seed is 0.5; give a whole number"),
    ({"seed": [True, False]}, "row 0: seed is 'True', which is not a number"),
    ({"seed": [2**63, 1]}, "give a whole number from 0"),
    ({"speed": [1, 2]}, "unknown column 'speed'; this model knows prompt, seconds, seed"),
]


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_what_is_not_allowed_is_told(model: Any, change: dict[str, Any], words: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as caught:
        model.predict(pd.DataFrame(ROWS | change))
    assert words in str(caught.value)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("data", "params", "words"),
    [
        (pd.DataFrame(ROWS), {"otput": "bvh"}, "unknown parameter 'otput'; this model knows output"),
        (pd.DataFrame(ROWS), {"output": "mp4"}, "choose one of joints, motion, features, bvh"),
        (pd.DataFrame(ROWS).drop(columns="seed"), None, "the column seed is missing"),
        (pd.DataFrame(ROWS).iloc[:0], None, "0 prompts were given"),
        (pd.concat([pd.DataFrame(ROWS)] * 5000), None, "10000 prompts were given; one request takes 1 to 64"),
        ("a person walks", None, "the input is not a table"),
        ([1, 2], None, "the input is not a table"),
        ({"prompt": ["a"], "seconds": [2.0, 3.0], "seed": [1]}, None, "the input is not a table"),
    ],
)
def test_wrong_requests_are_told(model: Any, data: Any, params: dict[str, Any] | None, words: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as caught:
        model.predict(data, params=params)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


def loaded(folder: Path, **settings: Any) -> Any:
    """A packed model with other settings, without MLflow around it."""
    from types import SimpleNamespace

    from hmu_tasks.registry.serving import ServedModel
    from hmu_tasks.runtime.files import read_json, write_json

    file = folder / "artifacts" / "generation.json"
    write_json(file, {**read_json(file), **settings})
    model = ServedModel()
    places = {"bundle": str(folder / "artifacts" / "bundle"), "generation": str(file)}
    model.load_context(SimpleNamespace(model_config={"device": "cpu"}, artifacts=places))
    return model


def test_another_frame_rate_counts(packed: Path, tmp_path: Path) -> None:
    """30 frames per second, as Motion-X has them: seconds, limits and BVH follow."""
    from mlflow.exceptions import MlflowException

    shutil.copytree(packed, tmp_path / "model")
    model = loaded(tmp_path / "model", fps=30.0, shortest=24, longest=196)
    row = pd.DataFrame({"prompt": ["a person walks"], "seconds": [2.0], "seed": [0]})
    assert model.predict(None, row)[0].shape == (60, 22, 3)
    assert model.predict(None, row.assign(seconds=0.8))[0].shape == (24, 22, 3)
    (text,) = model.predict(None, row, {"output": "bvh"})
    assert "Frame Time: 0.033333" in text
    with pytest.raises(MlflowException, match=r"seconds is 6\.6; motions last 0\.8 to 6\.53 s"):
        model.predict(None, row.assign(seconds=6.6))


def test_a_length_estimator_fills_in_what_is_missing(packed: Path, tmp_path: Path) -> None:
    from hmu_tasks.models.generators.length import LengthConfig, LengthEstimator, save_length
    from hmu_tasks.models.networks.components import load_config

    folder = tmp_path / "model"
    shutil.copytree(packed, folder)
    text = folder / "artifacts" / "bundle" / "text"
    config = LengthConfig(text_width=load_config(text)["width"], hidden=8)
    network = LengthEstimator(config, seed=1)
    network.output[-1].bias.data[:] = 0  # type: ignore[operator, union-attr]
    network.output[-1].bias.data[15] = 50  # type: ignore[operator, union-attr]  # 15 tokens, for certain
    save_length(network.state_dict(), vars(config), text)
    index = folder / "artifacts" / "bundle" / "bundle.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    content["components"]["text"] = weights.digest(text)
    index.write_text(json.dumps(content), encoding="utf-8")
    model = loaded(folder)
    row = pd.DataFrame({"prompt": ["a person walks"], "seed": [3]})
    (sampled,) = model.predict(None, row)
    assert sampled.shape == (60, 22, 3)
    np.testing.assert_array_equal(sampled, model.predict(None, row.assign(seconds=3.0))[0])
    np.testing.assert_array_equal(sampled, model.predict(None, row.assign(seconds=None))[0])


def test_bamm_ends_its_motions_itself(packed: Path, tmp_path: Path) -> None:
    from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
    from hmu_tasks.models.networks.components import load_config, save_network

    folder = tmp_path / "model"
    shutil.copytree(packed, folder)
    bundle = folder / "artifacts" / "bundle"
    config = load_config(bundle / "base")
    save_network(BammTransformer(BammConfig(**config), seed=3), config, bundle / "base")
    index = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    index["components"]["base"] = weights.digest(bundle / "base")
    (bundle / "bundle.json").write_text(json.dumps(index | {"model": "bamm"}), encoding="utf-8")
    model = loaded(folder)
    row = pd.DataFrame({"prompt": ["a person walks"], "seed": [3]})
    one, two = (model.predict(None, table)[0] for table in (row, row.assign(seconds=float("nan"))))
    np.testing.assert_array_equal(one, two)
    assert len(one) % 4 == 0
    assert 4 <= len(one) <= 196
    assert model.predict(None, row.assign(seconds=2.0))[0].shape == (40, 22, 3)


def test_an_unknown_device_is_told(packed: Path) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="device is 'gpu'; choose one of auto, cpu, cuda"):
        mlflow.pyfunc.load_model(str(packed), model_config={"device": "gpu"})


def test_other_models_keep_mlflows_own_check(model: Any) -> None:
    import mlflow
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    del model  # its loading wrapped the check
    table = pd.DataFrame({"x": [1.0], "y": [2.0]})
    check = mlflow.pyfunc._validate_prediction_input
    params = ParamSchema([ParamSpec("a", "string", "b")])
    kept, filled = check(table, {"z": 1}, Schema([ColSpec("double", "x")]), params)
    assert (list(kept), filled) == (["x"], {"a": "b"})


def test_bvh_says_where_the_joints_are(model: Any, tmp_path: Path) -> None:
    from hmu_tasks.data.datasets.bvh.reader import read
    from hmu_tasks.data.motion.skeleton import JOINTS

    (text,) = model.predict(pd.DataFrame(ROWS).iloc[:1], params={"output": "bvh"})
    (joints,) = model.predict(pd.DataFrame(ROWS).iloc[:1])
    file = tmp_path / "motion.bvh"
    file.write_text(text, encoding="utf-8")
    recording = read(file)
    assert recording.seconds == pytest.approx(0.05)
    assert recording.positions.shape[0] == len(joints)
    pelvis = recording.world()[:, recording.names.index(JOINTS[0])] / 100
    np.testing.assert_allclose(pelvis, joints[:, 0], atol=1e-5)


@pytest.mark.gpu
def test_on_the_gpu_it_is_the_same_every_time(packed: Path) -> None:
    import mlflow
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    model = mlflow.pyfunc.load_model(str(packed), model_config={"device": "cuda"})
    one, two = (model.predict(pd.DataFrame(ROWS)) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)
