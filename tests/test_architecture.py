"""Code rules: import contracts, forbidden calls, unique class names, module sizes."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports
from modules import PACKAGE, ROOT, closure, module_file, tree

SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "flows").rglob("*.py")])


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def faults(sources: list[Path], wrong: Callable[[Path], Iterator[str]]) -> list[str]:
    return [f"{place(file)}: {fault}" for file in sources for fault in wrong(file)]


def test_import_contracts_hold() -> None:
    """pyproject.toml says who may import whom, and that no circles exist; ruff says what libraries may not use."""
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


def test_nothing_is_unpickled() -> None:
    def wrong(file: Path) -> Iterator[str]:
        for name, call in calls(file):
            for keyword in call.keywords:
                value = getattr(keyword.value, "value", None)
                if (keyword.arg, value) in {("weights_only", False), ("allow_pickle", True)}:
                    yield f"line {call.lineno}: {keyword.arg}={value}"
            named = {keyword.arg for keyword in call.keywords}
            if name == "torch.load" and "weights_only" not in named:
                yield f"line {call.lineno}: torch.load without weights_only=True"
            if name.endswith(("pickle.load", "pickle.loads", "read_pickle")):
                yield f"line {call.lineno}: {name}"

    everywhere = [*SOURCES, *(ROOT / "benchmarks").glob("*.py")]
    assert faults(everywhere, wrong) == []


def test_no_error_is_swallowed_whole() -> None:
    """`except Exception` is not used; `except BaseException` only to clean up and raise again."""

    def wrong(file: Path) -> Iterator[str]:
        for node in ast.walk(tree(file)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = [dotted(n) for n in ast.walk(node.type)] if node.type else ["BaseException"]
            raises = any(isinstance(n, ast.Raise) and n.exc is None for n in node.body)
            if "Exception" in caught or ("BaseException" in caught and not raises):
                yield f"line {node.lineno}: catches everything"

    assert faults(SOURCES, wrong) == []


def test_global_random_state_is_left_alone() -> None:
    """Dropout and initialisation draw from torch's global state, so that it is seeded within `fork_rng` only."""
    seeding = {"torch.manual_seed", "torch.cuda.manual_seed_all"}

    def wrong(file: Path) -> Iterator[str]:
        forks = [node for node in ast.walk(tree(file)) if isinstance(node, ast.With)]
        forks = [node for node in forks if any("fork_rng" in ast.unparse(item) for item in node.items)]
        inside = {id(node) for fork in forks for node in ast.walk(fork)}
        for name, call in calls(file):
            if (name in seeding and id(call) not in inside) or name.endswith("random.seed"):
                yield f"line {call.lineno}: {name}"

    assert faults(SOURCES, wrong) == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("hmu_tasks.data.datasets", "DATASETS"),
        ("hmu_tasks.models", "MODELS"),
        ("hmu_tasks.train", "TRAINERS"),
        ("hmu_tasks.methods", "METHODS"),
        ("hmu_tasks.metrics", "METRICS"),
    ],
)
def test_plug_ins_are_literal_dicts(module: str, name: str) -> None:
    file = module_file(module)
    assert file is not None
    for node in tree(file).body:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        if isinstance(target, ast.Name) and target.id == name:
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            assert isinstance(node.value, ast.Dict)
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            assert len(keys) == len(node.value.keys) == len(set(keys)) > 1
            return
    pytest.fail(f"{place(file)} has no {name}")


def test_class_names_are_unique() -> None:
    """A class name means one thing in all of the code: a section's schema ends in `Section`, a network's does not."""
    found: dict[str, set[str]] = {}
    for file in SOURCES:
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).add(place(file))
    assert {name: files for name, files in found.items() if len(files) > 1} == {}


def test_modules_have_a_readable_size() -> None:
    sizes = {place(file): len(file.read_text(encoding="utf-8").splitlines()) for file in SOURCES}
    assert {name: lines for name, lines in sizes.items() if lines > 350} == {}


def test_help_reaches_nothing_heavy() -> None:
    """What `__main__` imports at its top; the commands import their steps themselves."""
    top = {
        node for node in tree(PACKAGE / "__main__.py").body if isinstance(node, ast.Import | ast.ImportFrom)
    }
    modules = {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.startswith("hmu_tasks")} == {
        "hmu_tasks.methods",
        "hmu_tasks.metrics.records",
        "hmu_tasks.registry",
        "hmu_tasks.runtime",
        "hmu_tasks.runtime.environment",
        "hmu_tasks.runtime.errors",
        "hmu_tasks.runtime.files",
        "hmu_tasks.runtime.loading",
        "hmu_tasks.runtime.threads",
        "hmu_tasks.studio",
    }
    code = (
        "import sys, hmu_tasks.__main__; print(*{'numpy', 'pandas', 'torch', 'pydantic'} & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
    runtime = PACKAGE / "runtime"
    assert closure(runtime / "loading.py") == {runtime / "loading.py"}
    assert closure(runtime / "threads.py") == {runtime / "errors.py", runtime / "threads.py"}
    assert closure(runtime / "errors.py") == {runtime / "errors.py"}
