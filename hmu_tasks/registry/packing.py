"""The folder that becomes a registered version: MLflow's model around the bundle, with the code that loads it.

Written here and not by `mlflow.pyfunc.save_model`, which puts absolute local paths, the version of cloudpickle and
files of the working folder into what it writes, and runs the model once more.
"""

import ast
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmu_tasks.registry import attestation, seal
from hmu_tasks.registry.manifest import check_bundle_files
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import read_object, write_json
from hmu_tasks.tracking.store import clear_errors

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

PACKAGE = Path(__file__).resolve().parents[1]
SERVED = Path(__file__).with_name("serving.py")
LIBRARIES = ("models", "data")  # folders whose code a version carries
# Single modules that these import.
FILES = (
    "__init__.py",
    *(
        f"runtime/{name}.py"
        for name in (
            "__init__",
            "acceleration",
            "addresses",
            "bundle_files",
            "cache",
            "code_digest",
            "errors",
            "files",
            "foreign",
            "processes",
            "progress",
            "prompts",
            "section",
            "seeds",
            "tables",
            "tensor_files",
            "yaml_files",
        )
    ),
)
REQUIRED = (
    "mlflow",
    "numpy",
    "pandas",
    "safetensors",
    "securesystemslib",
    "torch",
    "pydantic",
    "ruamel.yaml",
)
EXAMPLE = {"columns": ["prompt", "seconds", "seed"], "data": [["a person walks forward", 4.0, 0]]}


@dataclass(frozen=True)
class Clock:
    """Frame rate of a model's motions, and its shortest and longest motion in frames."""

    fps: float
    shortest: int
    longest: int


def pack(
    bundle: Path,
    sampling: Mapping[str, Any],
    clock: Clock,
    target: Path,
    signer: "CryptoSigner | None" = None,
) -> None:
    """Write the model folder: MLmodel, serving.py, code/, artifacts/bundle, artifacts/generation.json and seal.json.

    signer: signs the seal; without one contents can be checked, but not who made them. Raises WeightsError for a
    bundle that holds anything but safetensors, JSON and text.
    """
    check_bundle_files(bundle)
    artifacts = target / "artifacts"
    shutil.copytree(bundle, artifacts / "bundle", ignore=shutil.ignore_patterns("edit.json"))
    write_json(artifacts / "generation.json", {"sampling": dict(sampling), **asdict(clock)})
    _copy_code(target / "code" / "hmu_tasks")
    shutil.copy2(SERVED, target / SERVED.name)
    shutil.copy2(Path(str(seal.__file__)), target / "code" / f"{seal.MODULE}.py")
    requirements = [f"{name}=={installed(name).partition('+')[0]}" for name in _required(bundle)]
    (target / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    write_json(target / "python_env.yaml", environment)  # JSON is YAML
    write_json(target / "input_example.json", EXAMPLE)
    write_json(target / "serving_input_example.json", {"dataframe_split": EXAMPLE})
    with clear_errors("of the packed model"):
        _describe(target)
    _check(target, [str(bundle.resolve()), str(PACKAGE.parent), str(Path.cwd()), str(Path.home())])
    sealed = attestation.sign("model", seal.digests(target), {}, signer)
    (target / seal.NAME).write_text(f"{sealed}\n", encoding="utf-8")


def _required(bundle: Path) -> tuple[str, ...]:
    """Packages that serving imports; transformers reads every text encoder but the small one."""
    alone = read_object(bundle / "text" / "config.json").get("encoder") == "small"
    return REQUIRED if alone else (*REQUIRED, "transformers")


def _describe(target: Path) -> None:
    """Write MLmodel: loader, signature and requirements."""
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import Array, ColSpec, ParamSchema, ParamSpec, Schema

    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec("string", "prompt"),
                ColSpec("double", "seconds", required=False),
                ColSpec("long", "seed"),
            ]
        ),
        outputs=Schema([ColSpec(Array(Array(Array("double"))))]),
        params=ParamSchema([ParamSpec("output", "string", "joints")]),
    )
    example = {
        "artifact_path": "input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": "serving_input_example.json",
    }
    model = Model(signature=signature, saved_input_example_info=example)
    parts = {name: f"artifacts/{name}" for name in ("bundle", "generation.json")}
    pyfunc.add_to_model(
        model,
        loader_module=seal.MODULE,
        code="code",
        python_env="python_env.yaml",
        model_config={"device": "auto"},
        model_code_path=SERVED.name,
        artifacts={Path(name).stem: {"path": path, "uri": path} for name, path in parts.items()},
    )
    model.save(str(target / "MLmodel"))


def _copy_code(target: Path) -> None:
    """Copy the modules that serving.py imports, without caches."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in LIBRARIES:
        shutil.copytree(PACKAGE / name, target / name, ignore=unwanted)
    for name in FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PACKAGE / name, target / name)
    known = {path.relative_to(target).with_suffix("").as_posix() for path in target.rglob("*.py")}
    for needed in _imports(SERVED):
        place = needed.removeprefix("hmu_tasks.").replace(".", "/")
        assert place in known or f"{place}/__init__" in known, (
            f"serving.py needs {needed}, which is not packed"
        )


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hmu_tasks."):
            yield str(node.module)


def _check(target: Path, local: Iterable[str]) -> None:
    """Check every file for local paths and pickles; raises HmuError naming the file."""
    places = [place for place in local if len(place) > len("/root")]
    for file in sorted(path for path in target.rglob("*") if path.is_file()):
        if file.suffix in {".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npy", ".npz"}:
            raise HmuError(
                f"{file.relative_to(target)} could run code when loaded, so it cannot be registered; remove it"
            )
        if file.suffix == ".safetensors":
            continue
        text = file.read_text(encoding="utf-8")
        for place in places:
            if place in text:
                raise HmuError(
                    f"{file.relative_to(target)} names the local folder {place}; it is not registered"
                )
        if file.suffix not in {".py", ".json"} and "cloudpickle" in text:
            raise HmuError(f"{file.relative_to(target)} refers to cloudpickle; it is not registered")
