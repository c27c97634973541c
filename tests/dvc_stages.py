"""The stages of dvc.yaml as DVC resolves them, with the modules that their commands enter: shared by several tests."""

from pathlib import Path
from typing import Any

import pytest
from modules import PACKAGE, ROOT, module_file

from hmu_tasks.methods import METHODS
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.runtime.yaml_files import read_yaml


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
        """Arguments of the step, without the training that it works on."""
        return self.command[4:-2] if self.training is not None else self.command[4:]

    @property
    def training(self) -> int | None:
        return int(self.command[-1]) if self.command[-2] == "--training" else None

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


@pytest.fixture(scope="session")
def stages() -> dict[str, Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return read_stages()


@pytest.fixture(scope="session")
def values() -> dict[str, Any]:
    """What params.yaml holds."""
    return read_yaml(ROOT / "params.yaml")


def within(key: str, other: str) -> bool:
    """Say whether one of two dotted keys lies in the other."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def rerun(stages: dict[str, Stage], change: str) -> set[str]:
    """Stages that depend on a file or a key of params.yaml, directly or through other stages."""
    if "/" in change:
        assert (ROOT / change).is_file(), change
        names = {name for name, stage in stages.items() if stage.covers(ROOT / change)}
    else:
        names = {name for name, one in stages.items() if any(within(change, key) for key in one.params)}
    while behind := {name for name, one in stages.items() if names.intersection(one.needs)} - names:
        names |= behind
    return names


def files_of(stage: Stage) -> list[Path]:
    """The modules that a stage's command enters: the step, and the plug-ins that its arguments name."""
    from hmu_tasks import train  # loads torch

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
