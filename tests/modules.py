"""What our modules import, read from their syntax trees: shared by the tests of the architecture and of dvc.yaml."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hmu_tasks"


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def module_file(name: str) -> Path | None:
    """File of a module of ours by its dotted name; None where there is no such module."""
    place = ROOT.joinpath(*name.split("."))
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None


def _for_type_checks(file: Path) -> set[int]:
    """Ids of the nodes below `if TYPE_CHECKING:`, which never runs."""
    blocks = [node for node in ast.walk(tree(file)) if isinstance(node, ast.If)]
    blocks = [node for node in blocks if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}]
    return {id(inner) for block in blocks for node in block.body for inner in ast.walk(node)}


@cache
def imported_names(file: Path, *, run_only: bool = False) -> frozenset[str]:
    """Dotted names that a file imports anywhere; `from a import b` gives `a.b`. run_only: none for type checks."""
    names = set()
    idle = _for_type_checks(file) if run_only else set()
    for node in ast.walk(tree(file)):
        if id(node) in idle:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: write imports in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@cache
def own_imports(file: Path, *, run_only: bool = False) -> frozenset[Path]:
    """Files of ours that a file imports; the `__init__` of a package counts where something is taken from it."""
    found = set()
    for name in imported_names(file, run_only=run_only):
        if name.startswith(("hmu_tasks.", "flows.")):
            module = module_file(name) or module_file(name.rpartition(".")[0])
            assert module is not None, f"{file} imports {name}, which does not exist"
            found.add(module)
    return frozenset(found)


@cache
def data_files(file: Path) -> frozenset[Path]:
    """Files and folders beside a module that it names in a string, such as templates and YAML."""
    names = {
        node.value
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    beside = {path for path in file.parent.iterdir() if path.suffix != ".py" and path.name in names}
    return frozenset(path for path in beside if path.is_file() or not (path / "__init__.py").exists())


def closure(file: Path, *, skip: frozenset[Path] = frozenset()) -> set[Path]:
    """Every file of ours that `file` reaches through imports that run, itself included, and the data files they read.

    Plug-ins that a table names by address are not followed: which of them a stage loads, its command says.
    """
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        one = waiting.pop()
        if one not in found and one not in skip:
            found.add(one)
            waiting += own_imports(one, run_only=True)
    return found | {data for one in found for data in data_files(one)}
