"""The only reader of YAML files."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hmu_tasks.runtime.errors import ConfigError


def read_yaml(path: Path, *, advice: str = "run from the project's root folder") -> dict[str, Any]:
    """Read a YAML mapping; raises ConfigError naming the file and the line of a fault.

    advice: what to do where there is no such file
    """
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; {advice}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping, found {type(values).__name__}")
    return values


def parse_yaml(text: str) -> Any:
    """Parse YAML in C where that is installed, five times as fast; the slow parser's messages name the line."""
    try:
        return YAML(typ="safe").load(text)
    except YAMLError:
        return YAML(typ="safe", pure=True).load(text)
