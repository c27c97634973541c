"""The served model: the evaluated motions come out, by seed, alone or in company; what is not allowed is told."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from registered_world import selected

from hmu_tasks.models.networks import weights
from hmu_tasks.runtime import paths

# MLflow 3.17 warns about its own type hints when its models are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")
SAMPLING = {"steps": 2, "cfg": 4.0, "residual_cfg": 5.0, "temperature": 1.0, "top_k": 0.9}
ROWS = {"prompt": ["a person walks", "a man kicks"], "seconds": [2.0, 3.1], "seed": [0, 7]}


@pytest.fixture(scope="module")
def packed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of the tiny world's selected edit."""
    from hmu_tasks.registry.packing import Clock, pack

    target = tmp_path_factory.mktemp("packed") / "model"
    pack(finished / paths.edits("momask", "lcr") / selected(finished), SAMPLING, Clock(20.0, 40, 196), target)
    return target


@pytest.fixture(scope="module")
def model(packed: Path) -> Any:
    import mlflow

    return mlflow.pyfunc.load_model(str(packed), model_config={"device": "cpu"})


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


FOREIGN = "\nimport pathlib; pathlib.Path(r'{marker}').touch()\n"
CHANGES = [
    ("artifacts/bundle/base/model.safetensors", None, "was changed"),
    ("artifacts/generation.json", '"cfg": 4.0', "was changed"),
    ("MLmodel", "device: auto", "was changed"),
    ("serving.py", FOREIGN, "was changed"),
    ("code/hmu_tasks/models/generators/bundle.py", FOREIGN, "was changed"),
    ("code/hmu_seal.py", FOREIGN, "was changed"),
    ("code/sitecustomize.py", FOREIGN, "was added"),
    ("code/hmu_tasks/models/__pycache__/__init__.cpython-311.pyc", "planted", "was added"),
    ("artifacts/bundle/text/config.json", "", "is missing"),
]


@pytest.mark.parametrize(("name", "change", "words"), CHANGES, ids=[one[0] for one in CHANGES])
def test_what_was_changed_is_not_loaded(
    packed: Path, tmp_path: Path, name: str, change: str | None, words: str
) -> None:
    """A clean process without a checkout: no change passes, and no code that was put in runs."""
    folder, marker = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(packed, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / name
    if change is None:
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif change == "":
        file.unlink()
    elif change in (FOREIGN, "planted"):
        file.parent.mkdir(exist_ok=True)
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(before + change.replace("{marker}", str(marker)), encoding="utf-8")
    else:
        text = file.read_text(encoding="utf-8")
        assert change in text
        file.write_text(
            text.replace(change, change.replace("4.0", "9.0").replace("auto", "cpu")), encoding="utf-8"
        )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, mlflow.pyfunc; mlflow.pyfunc.load_model(sys.argv[1], suppress_warnings=True)",
            str(folder),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode != 0
    assert f"{name} {words} after registration" in done.stderr, done.stderr[-2000:]
    assert not marker.exists()


def test_who_sealed_a_model_counts_where_keys_are_named(
    packed: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hmu_tasks.registry import seal
    from hmu_tasks.registry.keys import signing_key
    from hmu_tasks.registry.packing import Clock, pack

    monkeypatch.setenv("HMU_SIGNING_KEY", str(tmp_path / "key.pem"))
    signer = signing_key(tmp_path)
    monkeypatch.setenv("HMU_TRUSTED_KEYS", str(tmp_path / "trusted-keys.json"))
    with pytest.raises(seal.SealError, match=r"seal\.json is not signed by a key of"):
        seal.check(packed)
    bundle = finished / paths.edits("momask", "lcr") / selected(finished)
    pack(bundle, SAMPLING, Clock(20.0, 40, 196), tmp_path / "model", signer)
    seal.check(tmp_path / "model")


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


def test_nothing_is_pickled_and_no_place_of_this_machine_is_named(packed: Path, finished: Path) -> None:
    import yaml

    described = yaml.safe_load((packed / "MLmodel").read_text(encoding="utf-8"))
    flavor = described["flavors"]["python_function"]
    assert flavor["model_code_path"] == "serving.py"
    assert flavor["loader_module"] == "hmu_seal"
    assert {part["uri"] for part in flavor["artifacts"].values()} == {
        "artifacts/bundle",
        "artifacts/generation.json",
    }
    assert "python_model" not in flavor
    for file in packed.rglob("*"):
        assert file.suffix not in {".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npz", ".npy"}
        if file.is_file() and file.suffix != ".safetensors":
            text = file.read_text(encoding="utf-8")
            assert str(finished) not in text
            assert str(paths.RUNS.resolve()) not in text
            if file.suffix != ".py":
                assert "cloudpickle" not in text, file
    assert "mlflow==" in (packed / "requirements.txt").read_text(encoding="utf-8")


def test_pickle_may_be_forbidden(packed: Path) -> None:
    """A client that forbids MLflow every pickle, and has no checkout, loads the version all the same."""
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import sys, pickle\n"
        "def refuse(*a, **k): raise SystemExit('something was unpickled')\n"
        "import mlflow, pandas as pd, cloudpickle, torch, mlflow.pyfunc\n"
        "pickle.load = pickle.loads = cloudpickle.load = cloudpickle.loads = refuse\n"
        "pickle.Unpickler = pickle._Unpickler = refuse\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(model.predict(pd.DataFrame({'prompt': ['a'], 'seconds': [2.0], 'seed': [1]}))[0].shape)\n"
        "import hmu_tasks.models.generators.bundle as used; print(used.__file__)\n"
    )
    env = os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(packed)],
        capture_output=True,
        text=True,
        env=env,
        cwd=packed,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shape, used = done.stdout.splitlines()[-2:]
    assert shape == "(40, 22, 3)"
    assert Path(used).is_relative_to(packed)


@pytest.fixture(scope="module")
def server(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `mlflow models serve`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(packed), "--env-manager", "local"]
    command += ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 180
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/ping", timeout=5).close()  # noqa: S310
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.3)
        yield url
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def post(url: str, body: Any, kind: str = "application/json") -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/invocations", data=data, headers={"Content-Type": kind})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.slow
def test_over_rest(server: str, packed: Path, model: Any) -> None:
    """Good and bad requests to one server; after all of the bad ones it still answers."""
    wanted = model.predict(pd.DataFrame(ROWS))
    table = {"columns": list(ROWS), "data": [list(row) for row in zip(*ROWS.values(), strict=True)]}
    status, answer = post(server, {"dataframe_split": table})
    assert status == 200
    for got, joints in zip(answer["predictions"], wanted, strict=True):
        np.testing.assert_allclose(np.array(got), joints, atol=1e-5)
    status, answer = post(server, {"dataframe_split": table, "params": {"output": "bvh"}})
    assert status == 200
    assert all(text.startswith("HIERARCHY\n") for text in answer["predictions"])
    example = json.loads((packed / "serving_input_example.json").read_text(encoding="utf-8"))
    assert post(server, example)[0] == 200
    many = {"columns": list(ROWS), "data": table["data"] * 5000}
    bad = [
        ({"dataframe_split": table, "params": {"otput": "bvh"}}, "unknown parameter 'otput'"),
        ({"dataframe_split": table, "params": {"output": "mp4"}}, "choose one of joints"),
        ({"dataframe_split": table | {"columns": ["prompt", "second", "seed"]}}, "unknown column 'second'"),
        ({"dataframe_records": [{"prompt": "", "seconds": 2, "seed": 0}]}, "the prompt is empty"),
        ({"dataframe_records": [{"prompt": {"a": 1}, "seconds": 2, "seed": 0}]}, "row 0"),
        ({"dataframe_split": many}, "10000 prompts were given"),
        ({"rows": []}, ""),
        ([], ""),
        (b"{", ""),
    ]
    for body, words in bad:
        status, answer = post(server, body)
        assert status == 400, body
        assert words in answer, answer
    assert post(server, b"a,b", "text/html")[0] == 415
    status, answer = post(server, {"dataframe_split": table})
    assert status == 200


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
