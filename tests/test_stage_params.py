"""params.yaml, its schema, the params of dvc.yaml's stages and what their code reads name the same keys."""

import ast
from pathlib import Path
from typing import Any

from dvc_stages import Stage, files_of, module_of, within
from modules import PACKAGE, ROOT, tree

from hmu_tasks import train
from hmu_tasks.config.params import flat, load
from hmu_tasks.methods import METHODS, method_of
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.training import pretrained

# Read by a step without being able to change what it writes.
NOT_KNOBS = {"run.track"}
# Say which stages there are, and nothing about what one of them writes.
MATRIX = {"run.models", "run.methods", "run.trainings"}
# `evaluate` picks a knob only for methods that have one; the references and the data have none.
NOT_USED = {("evaluate-reference", "report.retain_loss_limit"), ("evaluate-real", "report.retain_loss_limit")}
# What is imported once for all models has no variant for D_r.
NOT_USED |= {(stage, "train.pretrained.retrain") for stage in ("train-text", "train-evaluator")}


def chain(node: ast.AST) -> list[str]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [*names, node.id][::-1] if isinstance(node, ast.Name) else []


def knobs_read(nodes: list[ast.AST], sections: set[str]) -> set[str]:
    """Dotted keys of `params.….…` in these syntax trees, as far as they are written in one piece."""
    found = set()
    for root in nodes:
        parts = {id(node.value) for node in ast.walk(root) if isinstance(node, ast.Attribute)}
        for node in ast.walk(root):
            names = chain(node) if id(node) not in parts else []
            if "params" not in names[:-1]:
                continue
            rest = [name.rstrip("_") for name in names[names.index("params") + 1 :]]
            if rest[0] in sections:
                found.add(".".join(rest))
    return {key.removesuffix(".model_dump") for key in found}


def functions(file: Path) -> dict[str, ast.AST]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: node for node in tree(file).body if isinstance(node, kinds)}


def reached(file: Path, name: str) -> list[ast.AST]:
    """A function and all of the same file that it calls, directly or not; entry points do not call each other."""
    entries = {f.__name__ for f in pretrained.IMPORTS.values()}
    known = {other: node for other, node in functions(file).items() if other == name or other not in entries}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in known and one not in found:
            found.add(one)
            waiting += [node.id for node in ast.walk(known[one]) if isinstance(node, ast.Name)]
    return [known[one] for one in sorted(found)]


def nodes_of(stage: Stage) -> list[ast.AST]:
    """The syntax trees that a stage's command runs through, as far as they read params."""
    if stage.step == "train":
        component = stage.arguments[0]
        nodes = [tree(file) for file in files_of(stage)[1:]]
        nodes.append(tree(PACKAGE / "training" / "loop" / "job.py"))
        if component == "classifier":
            nodes.append(tree(PACKAGE / "training" / "labelled.py"))
        if component.partition("-")[0] in pretrained.IMPORTS:
            nodes += reached(PACKAGE / "train.py", "_importer")
            file = module_of(train.OFFICIAL)
            nodes += reached(file, "importer") + reached(
                file, pretrained.IMPORTS[component.partition("-")[0]].__name__
            )
        return nodes
    if stage.step == "unlearn":
        entry = stage.arguments[1] if stage.arguments[1] in ENDS else "apply"
        return reached(PACKAGE / "unlearn.py", entry)
    if stage.step == "register":
        return [tree(PACKAGE / "registry" / "gathering.py")]
    return [tree(PACKAGE / f"{stage.step}.py")]


def read_of_knobs(file: Path) -> set[str]:
    chains = [chain(node) for node in ast.walk(tree(file)) if isinstance(node, ast.Attribute)]
    return {names[1] for names in chains if len(names) == 2 and names[0] in {"knobs", "self"}}


def test_every_step_has_its_stage_and_section(stages: dict[str, Stage], values: dict[str, Any]) -> None:
    steps = {stage.step for stage in stages.values()}
    assert steps == set(values) - {"run"}
    for step in steps:
        assert (PACKAGE / f"{step}.py").is_file()


def test_params_exist(stages: dict[str, Stage], values: dict[str, Any]) -> None:
    for stage in stages.values():
        for key in stage.params:
            found: Any = values
            for part in key.split("."):
                assert part in found, f"{stage.name}: params.yaml has no {key}"
                found = found[part]


def test_params_are_used_and_complete(stages: dict[str, Stage], values: dict[str, Any]) -> None:
    sections = set(values)
    faults = []
    for stage in stages.values():
        if stage.step == "report":  # prints all of them
            assert stage.params == sections
            continue
        # The models are in the paths of a stage's inputs, so that other ones run it again.
        read = knobs_read(nodes_of(stage), sections) - NOT_KNOBS - MATRIX
        assert read or stage.group in {"unlearn-original", "unlearn-retrain"}, stage.name
        wanted = {key for key in read if (stage.group, key) not in NOT_USED}
        idle = {key for key in stage.params if not any(within(key, other) for other in read)}
        absent = {key for key in wanted if not any(within(key, other) for other in stage.params)}
        faults += [f"{stage.name}: {key} is a parameter of the stage, but not read" for key in sorted(idle)]
        faults += [f"{stage.name}: {key} is read, but no parameter of the stage" for key in sorted(absent)]
    assert faults == []


def test_no_knob_is_idle(stages: dict[str, Stage], values: dict[str, Any]) -> None:
    """Every key of params.yaml makes some stage other than the report run again."""
    declared = {key for stage in stages.values() if stage.step != "report" for key in stage.params}
    idle = {leaf for leaf in flat(values) if not any(f"{leaf}.".startswith(f"{key}.") for key in declared)}
    unused = {f"train.base.{name}" for name in MODELS if name not in values["run"]["models"]}
    unused |= {f"train.pretrained.base.{name}" for name in MODELS if name not in values["run"]["models"]}
    unused |= {f"unlearn.{name}" for name in METHODS if name not in values["run"]["methods"]}
    idle = {leaf for leaf in idle if not any(f"{leaf}.".startswith(f"{key}.") for key in unused)}
    assert idle == NOT_KNOBS | MATRIX


def test_every_knob_of_a_method_is_read() -> None:
    """A method's module or what methods share reads each entry of its section, as `knobs.<name>`."""
    shared = (PACKAGE / "methods" / "shared").glob("*.py")
    both = {name for file in (PACKAGE / "methods" / "method.py", *shared) for name in read_of_knobs(file)}
    for name, address in METHODS.items():
        assert set(method_of(name).section.model_fields) <= both | read_of_knobs(module_of(address)), name


def test_registries_and_sections_name_the_same(values: dict[str, Any]) -> None:
    assert list(values["train"]["base"]) == list(MODELS)
    assert {f"base-{model}" for model in MODELS} <= set(train.COMPONENTS)
    assert list(values["unlearn"]) == list(METHODS)


def test_schema_and_file_have_the_same_keys(values: dict[str, Any]) -> None:
    schema = load(ROOT / "params.yaml").model_dump(mode="json", by_alias=True)
    assert sorted(flat(schema)) == sorted(flat(values))


def test_registries_and_schema_agree() -> None:
    params = load(ROOT / "params.yaml")
    assert params.methods == (*ENDS, *METHODS)
    bases = [name for name in train.COMPONENTS if name.startswith("base-")]
    assert bases == [f"base-{model}" for model in params.models]
    trained = set(type(params.train).model_fields) - {"mode", "pretrained"}
    assert {name.partition("-")[0] for name in train.COMPONENTS} == trained
    assert set(pretrained.IMPORTS) == trained - {"classifier"}
    official = [name for name in MODELS if model_named(name).official]
    assert list(type(params.train.pretrained.base).model_fields) == official
