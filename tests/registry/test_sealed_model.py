"""A packed model is loaded as it was registered, or not at all; nothing in it is pickled."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from registered_world import selected
from served import SAMPLING, packed

from hmu_tasks.runtime import paths

__all__ = ["packed"]
# MLflow 3.17 warns about its own type hints when its models are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")
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


# MLflow is imported once; each model is loaded in a fork, which has seen no other.
LOADING = """
import os, sys, traceback
import mlflow.pyfunc
for folder in sys.argv[1:]:
    pid = os.fork()
    if pid == 0:
        sys.stderr = open(f"{folder}.errors", "w")
        try:
            mlflow.pyfunc.load_model(folder, suppress_warnings=True)
        except BaseException:
            traceback.print_exc()
        sys.stderr.close()
        os._exit(0)
    os.waitpid(pid, 0)
"""


def alter(file: Path, change: str | None, marker: Path) -> None:
    """Change a file of a packed model: one bit, some text, or code that leaves a marker where it runs."""
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


@pytest.fixture(scope="module")
def loadings(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model for each of the changes, all of which a clean process without a checkout tried to load."""
    place = tmp_path_factory.mktemp("loadings")
    for number, (name, change, _) in enumerate(CHANGES):
        folder = place / str(number)
        shutil.copytree(packed, folder, ignore=shutil.ignore_patterns("__pycache__"))
        alter(folder / name, change, place / f"{number}.ran")
    shutil.copytree(packed, place / "unchanged", ignore=shutil.ignore_patterns("__pycache__"))
    folders = [str(place / str(number)) for number in range(len(CHANGES))]
    subprocess.run(
        [sys.executable, "-c", LOADING, *folders, str(place / "unchanged")],
        env=os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        cwd=place,
        check=True,
    )
    return place


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=[one[0] for one in CHANGES])
def test_what_was_changed_is_not_loaded(loadings: Path, number: int) -> None:
    """No change passes, and no code that was put in runs."""
    name, _, words = CHANGES[number]
    errors = (loadings / f"{number}.errors").read_text(encoding="utf-8")
    assert f"{name} {words} after registration" in errors, errors[-2000:]
    assert not (loadings / f"{number}.ran").exists()


def test_what_was_not_changed_is_loaded(loadings: Path) -> None:
    assert "Traceback" not in (loadings / "unchanged.errors").read_text(encoding="utf-8")


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


@pytest.mark.slow
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
