"""dvc.yaml against the code: parameters, places, commands and source dependencies say the same as the modules."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from modules import PACKAGE, ROOT, closure, module_file, tree

from hmu_tasks import train
from hmu_tasks.config.params import load
from hmu_tasks.methods import METHODS, method_of
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.yaml_files import read_yaml
from hmu_tasks.training import pretrained

# What a change in these could alter is checked by tests and seen by eye, not worth training anew for.
NOT_DEPENDENCIES = frozenset(
    [
        *(PACKAGE / "config").rglob(
            "*.py"
        ),  # checks params.yaml, whose values are dependencies; names places
        *(PACKAGE / "runtime").rglob(
            "*.py"
        ),  # errors, replaced files, digests of code that is a dependency itself
        *(PACKAGE / "tracking").rglob("*.py"),  # writes to MLflow only
        PACKAGE / "__init__.py",  # says what the package is
        PACKAGE / "models" / "__init__.py",  # says which models there are
        PACKAGE / "methods" / "__init__.py",  # says which methods there are
    ]
)
# Read by a step without being able to change what it writes.
NOT_KNOBS = {"run.track"}
# Say which stages there are, and nothing about what one of them writes.
MATRIX = {"run.models", "run.methods"}
# `evaluate` picks a knob only for methods that have one; the references and the data have none.
NOT_USED = {("evaluate-reference", "report.retain_loss_limit"), ("evaluate-real", "report.retain_loss_limit")}
# What is imported once for all models has no variant for D_r.
NOT_USED |= {(stage, "train.pretrained.retrain") for stage in ("train-text", "train-evaluator")}


class Stage:
    """A resolved stage of dvc.yaml."""

    def __init__(self, stage: Any, needs: list[str]) -> None:
        from dvc.dependency.param import ParamsDependency

        self.name: str = stage.name
        self.group = self.name.partition("@")[0]
        self.step = self.group.partition("-")[0]
        self.command: list[str] = stage.cmd.split()
        self.meta = stage.meta or {}
        self.needs = needs
        self.params = {key for dep in stage.deps if isinstance(dep, ParamsDependency) for key in dep.params}
        self.deps = {dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)}
        self.outs = {out.def_path for out in stage.outs}

    @property
    def arguments(self) -> list[str]:
        return self.command[4:]

    def covers(self, path: Path) -> bool:
        name = path.relative_to(ROOT)
        return any(place.as_posix() in self.deps for place in (name, *name.parents))


def read_stages() -> dict[str, Stage]:
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        graph = repo.index.graph
        return {
            stage.name: Stage(stage, [need.name for need in graph.successors(stage)])
            for stage in repo.index.stages
        }


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return read_stages()


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return read_yaml(ROOT / "params.yaml")


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def within(key: str, other: str) -> bool:
    """Say whether one of two dotted keys lies in the other."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


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


def files_of(stage: Stage) -> list[Path]:
    """The modules that a stage's command enters: the step, and the plug-ins that its arguments name."""
    files = [PACKAGE / f"{stage.step}.py"]
    if stage.step == "train":
        name, _, model = stage.arguments[0].partition("-")
        own = model_named(model).trainer if model else None
        files.append(module_of(own or train.TRAINERS[name]))
        files += [file for m in MODELS if m == model or name == "residual" for file in modules_of_model(m)]
    elif stage.step in {"unlearn", "evaluate", "probe"} and stage.arguments[0] in MODELS:
        files += modules_of_model(stage.arguments[0])
        if stage.step == "unlearn" and stage.arguments[1] in METHODS:
            files.append(module_of(METHODS[stage.arguments[1]]))
    return files


def modules_of_model(name: str) -> list[Path]:
    """Modules that a model's descriptor names, and its own."""
    model = model_named(name)
    addresses = [MODELS[name], model.generator]
    addresses += [address for n in model.networks.values() for address in (n.network, n.config)]
    return [module_of(address) for address in addresses]


def module_of(address: str) -> Path:
    """File of a plug-in by its address `module:name`."""
    found = module_file(address.partition(":")[0])
    assert found is not None, address
    return found


def nodes_of(stage: Stage) -> list[ast.AST]:
    """The syntax trees that a stage's command runs through, as far as they read params."""
    if stage.step == "train":
        component = stage.arguments[0]
        nodes = [tree(file) for file in files_of(stage)[1:]]
        nodes.append(tree(PACKAGE / "training" / "loop" / "job.py"))
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


def test_every_step_has_its_stage_and_section(stages: dict[str, Stage], values: dict[str, Any]) -> None:
    steps = {stage.step for stage in stages.values()}
    assert steps == set(values) - {"run"}
    for step in steps:
        assert (PACKAGE / f"{step}.py").is_file()


def test_commands_name_what_exists(stages: dict[str, Stage]) -> None:
    for stage in stages.values():
        assert stage.command[:4] == ["python", "-m", "hmu_tasks", stage.step], stage.name
        if stage.step == "train":
            component, *variant = stage.arguments
            assert component in train.COMPONENTS
            assert bool(variant) == (component not in train.UNVARIED)
            assert set(variant) <= set(train.VARIANTS)
        elif stage.step in {"unlearn", "evaluate", "probe", "register"}:
            model, method, *options = stage.arguments
            assert options == (["--decide-only"] if stage.step == "register" else [])
            assert method in (*ENDS, *METHODS) or (model, method) == ("real", "real")
            assert model == "real" or f"base-{model}" in train.COMPONENTS
        else:
            assert stage.arguments == []


def test_every_component_and_method_has_stages(stages: dict[str, Stage], values: dict[str, Any]) -> None:
    """Of the models and methods that params.yaml names; the others have everything that a stage of theirs needs."""
    commands = {
        step: [s.arguments for s in stages.values() if s.step == step] for step in ("train", "unlearn")
    }
    idle_models = {f"base-{model}" for model in MODELS} - {
        f"base-{model}" for model in values["run"]["models"]
    }
    assert {arguments[0] for arguments in commands["train"]} == set(train.COMPONENTS) - idle_models
    chosen = {*ENDS, *values["run"]["methods"]}
    crossed = {(model, method) for model in values["run"]["models"] for method in chosen}
    assert {(model, method) for model, method in commands["unlearn"]} == crossed
    measured = [s.arguments for s in stages.values() if s.step == "evaluate"]
    assert sorted(measured) == sorted([*commands["unlearn"], ["real", "real"]])
    probed = [s.arguments for s in stages.values() if s.step == "probe"]
    assert sorted(probed) == sorted(commands["unlearn"])
    judged = {tuple(s.arguments[:2]) for s in stages.values() if s.step == "register"}
    assert judged == {cell for cell in crossed if cell[1] not in ENDS}


def test_outs_are_where_the_code_writes(stages: dict[str, Stage]) -> None:
    fixed = {
        "ingest": paths.CLIPS,
        "filter": paths.SPLIT,
        "validate": paths.VALIDATION,
        "codebook": paths.CODEBOOK,
        "report": paths.REPORTS,
    }
    places = {"train": paths.component, "unlearn": paths.edits, "evaluate": paths.evaluation}
    places |= {"probe": paths.probing, "register": paths.registration}
    for stage in stages.values():
        arguments = [argument for argument in stage.arguments if not argument.startswith("--")]
        place = fixed[stage.step] if stage.step in fixed else places[stage.step](*arguments)
        assert stage.outs == {place.as_posix()}, stage.name


def test_what_dvc_shows_lies_in_outs_and_has_its_template(
    stages: dict[str, Stage], values: dict[str, Any]
) -> None:
    shown = read_yaml(ROOT / "dvc.yaml")
    named = [*shown["metrics"], *(artifact["path"] for artifact in shown["artifacts"].values())]
    for plot in shown["plots"]:
        for name, settings in plot.items():
            sources = settings["y"]
            named += list(sources) if isinstance(sources, dict) else [name]
            assert (ROOT / ".dvc" / "plots" / f"{settings['template']}.json").is_file()
    outs = {out for stage in stages.values() for out in stage.outs}
    for place in named:
        assert any(f"{place}/".startswith(f"{out}/") for out in outs), place


def test_dependencies_exist_or_are_made(stages: dict[str, Stage]) -> None:
    made = {out for stage in stages.values() for out in stage.outs}
    for stage in stages.values():
        for dep in stage.deps:
            related = any(within(dep.replace("/", "."), out.replace("/", ".")) for out in made)
            assert (ROOT / dep).exists() or related, (
                f"{stage.name}: {dep} is neither there nor made by a stage"
            )


def test_source_dependencies_are_complete(stages: dict[str, Stage]) -> None:
    """Every module that a step reaches through imports is a dependency of its stages."""
    missing = {}
    for stage in stages.values():
        needed = {file for entry in files_of(stage) for file in closure(entry, skip=NOT_DEPENDENCIES)}
        # Of a component, the importer of official checkpoints needs the networks that its trainer needs, no others.
        if stage.step == "train" and stage.arguments[0].partition("-")[0] in pretrained.IMPORTS:
            needed |= {module_of(train.OFFICIAL), *(PACKAGE / "models" / "official").glob("*.py")}
        names = sorted(file.relative_to(ROOT).as_posix() for file in needed if not stage.covers(file))
        if names:
            missing[stage.name] = names
    assert missing == {}


def test_a_method_reruns_its_own_cells_only(stages: dict[str, Stage]) -> None:
    """No stage but the method's own and the report, which reads every descriptor, depends on a method's module."""
    for name, address in METHODS.items():
        depending = {stage.name for stage in stages.values() if stage.covers(module_of(address))}
        own = {s.name for s in stages.values() if s.step == "unlearn" and s.arguments[1] == name}
        assert depending == {*own, "report"}


def test_methods_do_not_import_each_other() -> None:
    modules = {module_of(address) for address in METHODS.values()}
    for module in [*modules, *(PACKAGE / "methods" / "shared").rglob("*.py")]:
        assert closure(module) & modules <= {module}, module


def test_every_knob_of_a_method_is_read() -> None:
    """A method's module or what methods share reads each entry of its section, as `knobs.<name>`."""
    shared = (PACKAGE / "methods" / "shared").glob("*.py")
    both = {name for file in (PACKAGE / "methods" / "method.py", *shared) for name in read_of_knobs(file)}
    for name, address in METHODS.items():
        assert set(method_of(name).section.model_fields) <= both | read_of_knobs(module_of(address)), name


def read_of_knobs(file: Path) -> set[str]:
    chains = [chain(node) for node in ast.walk(tree(file)) if isinstance(node, ast.Attribute)]
    return {names[1] for names in chains if len(names) == 2 and names[0] in {"knobs", "self"}}


def test_networks_depend_on_no_concept_contract_or_method(stages: dict[str, Stage]) -> None:
    idle = [
        "data/datasets/synthetic/strikes.py",
        "data/contracts/expectations.py",
        "data/concepts/concepts.yaml",
        "methods/lcr.py",
        "metrics/stats.py",
    ]
    for stage in stages.values():
        if stage.step == "train":
            assert [name for name in idle if stage.covers(PACKAGE / name)] == [], stage.name


def test_components_depend_on_no_networks_but_their_own(stages: dict[str, Stage]) -> None:
    """A new text encoder or generator trains no tokenizer and no evaluator again."""
    idle = {
        "tokenizer": ("text", "generators", "evaluators"),
        "evaluator": ("text", "generators", "tokenizer"),
    }
    idle |= {"text": ("generators",), "classifier": ("text", "generators")}
    for stage in stages.values():
        for folder in idle.get(stage.arguments[0], ()) if stage.step == "train" else ():
            assert not stage.covers(PACKAGE / "models" / folder / "new.py"), stage.name


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
        read = knobs_read(nodes_of(stage), sections) - NOT_KNOBS
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
    idle = {leaf for leaf in leaves(values) if not any(f"{leaf}.".startswith(f"{key}.") for key in declared)}
    unused = {f"train.base.{name}" for name in MODELS if name not in values["run"]["models"]}
    unused |= {f"train.pretrained.base.{name}" for name in MODELS if name not in values["run"]["models"]}
    unused |= {f"unlearn.{name}" for name in METHODS if name not in values["run"]["methods"]}
    idle = {leaf for leaf in idle if not any(f"{leaf}.".startswith(f"{key}.") for key in unused)}
    assert idle == NOT_KNOBS | MATRIX


def test_registries_and_sections_name_the_same(values: dict[str, Any]) -> None:
    assert list(values["train"]["base"]) == list(MODELS)
    assert {f"base-{model}" for model in MODELS} <= set(train.COMPONENTS)
    assert list(values["unlearn"]) == list(METHODS)


def rerun(stages: dict[str, Stage], changed: set[str]) -> set[str]:
    """Stages that a change of these keys runs again: those that have one of them, and what hangs on them."""
    names = {
        s.name for s in stages.values() if any(within(key, other) for key in changed for other in s.params)
    }
    while True:
        behind = {stage.name for stage in stages.values() if names.intersection(stage.needs)}
        if behind <= names:
            return names
        names |= behind


def test_a_knob_of_lcr_reruns_only_lcr(stages: dict[str, Stage], values: dict[str, Any]) -> None:
    for leaf in leaves(values["unlearn"]["lcr"], "unlearn.lcr."):
        steps = ("unlearn", "evaluate", "probe", "register")
        cells = {f"{step}@{model}-lcr" for step in steps for model in values["run"]["models"]}
        assert rerun(stages, {leaf}) == {*cells, "report"}


def test_a_knob_of_the_evaluation_trains_nothing(stages: dict[str, Stage]) -> None:
    again = {name.partition("@")[0] for name in rerun(stages, {"evaluate.sampling.cfg"})}
    measured = {"evaluate-real", "evaluate-reference", "evaluate"}
    assert again == {*measured, "probe-reference", "probe", "register", "report"}
    cells = {name.partition("@")[2] for name in stages if name.startswith("register@")}
    selected = {f"{step}@{cell}" for step in ("evaluate", "probe", "register") for cell in cells}
    assert rerun(stages, {"report.retain_loss_limit"}) == {*selected, "report"}
    assert rerun(stages, {"register.slack"}) == {*(f"register@{cell}" for cell in cells), "report"}
    assert rerun(stages, {"run.track"}) == {"report"}


def test_a_change_of_the_data_reaches_everything(stages: dict[str, Stage]) -> None:
    assert rerun(stages, {"ingest.synthetic.clips"}) == set(stages)


def test_components_depend_on_those_that_they_are_trained_on(stages: dict[str, Stage]) -> None:
    for stage in stages.values():
        if stage.step == "train":
            component, *variant = stage.arguments
            needed = {place.as_posix() for place in train.upstream(component, *(variant or [None]))}
            assert {dep for dep in stage.deps if dep.startswith("runs/")} == needed, stage.name


def test_networks_wait_for_the_contracts(stages: dict[str, Stage]) -> None:
    def behind(name: str) -> set[str]:
        return {name}.union(*(behind(need) for need in stages[name].needs))

    for stage in stages.values():
        if stage.step == "train":
            assert "validate" in behind(stage.name), stage.name


def test_what_computes_with_networks_is_marked_for_the_gpu(stages: dict[str, Stage]) -> None:
    marked = {stage.step for stage in stages.values() if stage.meta.get("resource") == "gpu"}
    assert marked == {"train", "codebook", "unlearn", "evaluate", "probe"}
    copies = {"unlearn-original", "unlearn-retrain"}
    idle = [
        stage.name for stage in stages.values() if stage.step in marked and not stage.meta.get("resource")
    ]
    assert {stages[name].group for name in idle} <= copies


def test_schema_and_file_have_the_same_keys(values: dict[str, Any]) -> None:
    schema = load(ROOT / "params.yaml").model_dump(mode="json", by_alias=True)
    assert sorted(leaves(schema)) == sorted(leaves(values))


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
