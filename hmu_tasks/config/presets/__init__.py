"""Presets: overlays of params.yaml, one YAML file each."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, RoundTripRepresenter
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import ScalarNode

from hmu_tasks.config import params
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.files import replacing
from hmu_tasks.runtime.foreign import SETTINGS, read_text
from hmu_tasks.runtime.yaml_files import read_yaml

FOLDER = Path(__file__).parent


class _Written(RoundTripRepresenter):  # type: ignore[misc]  # ruamel has no types
    """Writes null as the project's files do, not as nothing."""

    def represent_none(self, data: None) -> ScalarNode:
        del data
        found: ScalarNode = self.represent_scalar("tag:yaml.org,2002:null", "null")
        return found


_Written.add_representer(type(None), _Written.represent_none)


def names() -> list[str]:
    """Names of the presets."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def apply(name: str, path: Path) -> None:
    """Overlay the preset `name` onto the params.yaml at `path`, keeping its comments and order.

    Raises ConfigError for an unknown preset or an invalid result; the file is then unchanged.
    """
    if name not in names():
        raise ConfigError(f"unknown preset {name!r}; choose one of {', '.join(names())}")
    read_yaml(path)
    yaml = YAML()
    yaml.Representer = _Written
    yaml.width = 120
    values = yaml.load(read_text(path, limit=SETTINGS))
    _overlay(values, read_yaml(FOLDER / f"{name}.yaml"), name)
    with replacing(path) as temporary:
        with temporary.open("w", encoding="utf-8") as file:
            yaml.dump(values, file)
        params.parse(read_yaml(temporary), f"preset {name}")


def _overlay(values: CommentedMap, changes: dict[str, Any], where: str) -> None:
    for key, change in changes.items():
        if key not in values:
            raise ConfigError(f"preset {where}: params.yaml has no key {key!r}")
        if isinstance(change, dict) != isinstance(values[key], dict):
            raise ConfigError(f"preset {where}: {key!r} is a section in one file and a value in the other")
        if isinstance(change, dict):
            _overlay(values[key], change, f"{where}.{key}")
        elif isinstance(change, list):
            values[key] = CommentedSeq(change)
            values[key].fa.set_flow_style()  # on one line, where the comment behind it stays
            if key in values.ca.items:
                values.ca.items[key][3] = None  # the place before a list's first line, which is no more
        else:
            values[key] = change
