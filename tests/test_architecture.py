"""The dependency rule: libraries know nothing of files' places, settings, terminals and servers."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from modules import PACKAGE, ROOT, closure, imported_names, module_file, own_imports, tree

LIBRARIES = (
    "data",
    "models",
    "methods",
    "metrics",
    "viewer",
    "training",
    "evaluation",
    "probes",
)
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "flows").rglob("*.py")])
LIBRARY_SOURCES = [file for file in SOURCES if file.relative_to(PACKAGE.parent).parts[1] in LIBRARIES]

# Who may import what; a folder stands for all that is in it.
ONLY = {
    "prefect": {"flows"},
    "mlflow": {
        "hmu_tasks/tracking/store.py",
        "hmu_tasks/tracking/runs.py",
        "hmu_tasks/registry/versions.py",
        "hmu_tasks/registry/packing.py",
        "hmu_tasks/registry/serving.py",
    },
    "great_expectations": {"hmu_tasks/data/contracts/expectations.py", "hmu_tasks/validate.py"},
    "dvc": {"flows"},
    "typer": {"hmu_tasks/__main__.py", "flows"},
    "tqdm": {"hmu_tasks/runtime/console.py"},
    "ruamel": {
        "hmu_tasks/config/params.py",
        "hmu_tasks/tracking/lineage.py",
        "hmu_tasks/config/presets",
        "hmu_tasks/data/concepts/concepts.py",
        "hmu_tasks/data/datasets/bvh/name_maps.py",
    },
    "argparse": {"flows"},
    "pickle": {
        "hmu_tasks/models/networks/weights.py",  # the error that a damaged checkpoint raises
        "hmu_tasks/models/official",  # readers that refuse or replace every class that a file names
    },
    "yaml": set(),
    "dill": set(),
    "joblib": set(),
}
# These two belong to the steps: the training jobs and the evaluation of real data get Params and paths as they are.
SETTINGS = {"params": {"training"}, "paths": {"training", "evaluation"}}


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


def test_the_sources_are_seen() -> None:
    assert len(LIBRARY_SOURCES) > 60
    assert {file.relative_to(PACKAGE).parts[0] for file in LIBRARY_SOURCES} == set(LIBRARIES)


def test_imports_stay_where_they_belong() -> None:
    def wrong(file: Path) -> Iterator[str]:
        for name in imported_names(file):
            allowed = ONLY.get(name.partition(".")[0])
            here = place(file)
            if allowed is not None and not any(here == a or here.startswith(f"{a}/") for a in allowed):
                yield f"imports {name}"

    assert faults(SOURCES, wrong) == []


def test_libraries_do_not_look_around() -> None:
    banned = {
        "time",
        "argparse",
        "getpass",
        "socket",
        "subprocess",
        "logging",
        "hmu_tasks.tracking.step_run",
        "hmu_tasks.runtime.console",
    }

    def wrong(file: Path) -> Iterator[str]:
        for name in imported_names(file):
            if name in banned or name.partition(".")[0] in banned or name.rpartition(".")[0] in banned:
                yield f"imports {name}"
        for name, _ in calls(file):
            if name in {"print", "input", "breakpoint"} or name.endswith((".now", ".utcnow", ".today")):
                yield f"calls {name}"
        for node in ast.walk(tree(file)):
            if dotted(node) in {
                "sys.argv",
                "sys.stdout",
                "sys.stderr",
                "os.environ",
                "os.getenv",
                "Path.cwd",
            }:
                yield f"uses {dotted(node)}"

    assert faults(LIBRARY_SOURCES, wrong) == []


def test_libraries_do_not_import_steps_or_the_terminal() -> None:
    steps = {
        file
        for file in PACKAGE.glob("*.py")
        if file.stem not in {"__init__", "errors", "files", "params", "paths"}
    }

    def wrong(file: Path) -> Iterator[str]:
        library = file.relative_to(PACKAGE).parts[0]
        for module in own_imports(file):
            if module in steps:
                yield f"imports {place(module)}"
            allowed = SETTINGS.get(module.stem) if module.parent == PACKAGE else None
            if allowed is not None and library not in allowed:
                yield f"imports {place(module)}; settings and places stop at the step"

    assert faults(LIBRARY_SOURCES, wrong) == []


def test_libraries_build_on_each_other_in_one_direction() -> None:
    below = {
        "data": set(),
        "metrics": set(),
        "models": set(),
        "methods": {"data", "models", "training"},
        "training": {"data", "models"},
        "viewer": {"methods", "metrics"},
        "evaluation": {"data", "models", "metrics", "training"},
        "probes": {"data", "models", "methods", "metrics", "training", "evaluation"},
    }

    def wrong(file: Path) -> Iterator[str]:
        library = file.relative_to(PACKAGE).parts[0]
        for module in own_imports(file):
            other = module.relative_to(PACKAGE).parts[0]
            if other in LIBRARIES and other != library and other not in below[library]:
                yield f"imports {place(module)}"

    assert faults(LIBRARY_SOURCES, wrong) == []


def test_metrics_import_only_themselves() -> None:
    for file in (PACKAGE / "metrics").glob("*.py"):
        assert {module.parent for module in own_imports(file)} <= {PACKAGE / "metrics"}, place(file)


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

    assert faults(LIBRARY_SOURCES, wrong) == []


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
        "hmu_tasks.metrics",
        "hmu_tasks.runtime.errors",
        "hmu_tasks.runtime.threads",
    }
    runtime = PACKAGE / "runtime"
    methods, metrics = (PACKAGE / name / "__init__.py" for name in ("methods", "metrics"))
    assert closure(methods) == {methods, runtime / "errors.py"}
    assert closure(metrics) == {metrics}
    assert closure(runtime / "threads.py") == {runtime / "errors.py", runtime / "threads.py"}
    assert closure(runtime / "errors.py") == {runtime / "errors.py"}
