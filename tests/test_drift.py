"""dvc.yaml against the code: places, commands and source dependencies say the same as the modules."""

from typing import Any

from dvc_stages import Stage, files_of, module_of, within
from modules import PACKAGE, ROOT, closure

from hmu_tasks import train
from hmu_tasks.config.params import load
from hmu_tasks.methods import METHODS
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models import MODELS
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
    registered = {tuple(s.arguments[:2]) for s in stages.values() if s.step == "register"}
    assert registered == {cell for cell in crossed if cell[1] not in ENDS}


def test_outs_are_where_the_code_writes(stages: dict[str, Stage]) -> None:
    fixed = {
        "ingest": lambda: paths.CLIPS,
        "filter": lambda: paths.SPLIT,
        "validate": lambda: paths.VALIDATION,
        "codebook": paths.codebook,
        "report": lambda: paths.REPORTS,
    }
    places = {"train": paths.component, "unlearn": paths.edits, "evaluate": paths.evaluation}
    places |= {"probe": paths.probing, "register": paths.registration}
    for stage in stages.values():
        arguments = [argument for argument in stage.arguments if not argument.startswith("--")]
        with paths.of_training(stage.training or 0):
            place = fixed[stage.step]() if stage.step in fixed else places[stage.step](*arguments)
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
    idle |= {"text": ("generators",)}
    for stage in stages.values():
        for folder in idle.get(stage.arguments[0], ()) if stage.step == "train" else ():
            assert not stage.covers(PACKAGE / "models" / folder / "new.py"), stage.name


def test_components_depend_on_those_that_they_are_trained_on(stages: dict[str, Stage]) -> None:
    for stage in stages.values():
        if stage.step == "train":
            component, *variant = stage.arguments
            needed = {place.as_posix() for place in train.upstream(load(), component, *(variant or [None]))}
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
