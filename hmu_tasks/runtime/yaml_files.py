"""The only reader of YAML files."""

import re
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.foreign import SETTINGS, read_text

_DEEPEST: Final = 60  # levels of nesting; the parser in C crashes at some ten thousand
_MOST: Final = 1_000_000  # values after all aliases are written out
_IN_ONE_LINE: Final = re.compile(r"(?:[-?:][ \t]+){20}")
_CONFLICT: Final = ("<<<<<<< ", ">>>>>>> ")


def read_yaml(path: Path, *, advice: str = "run from the project's root folder") -> dict[str, Any]:
    """Read a YAML mapping; raises ConfigError naming the file and the line of a fault.

    advice: what to do where there is no such file
    """
    try:
        text = read_text(path, limit=SETTINGS)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; {advice}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    values = parse_yaml(text, path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping, found {type(values).__name__}")
    return values


def parse_yaml(text: str, path: Path) -> Any:
    """Parse YAML in C where that is installed, five times as fast; the slow parser's messages name the line.

    Raises ConfigError naming the file for what is no YAML, nested too deeply, or larger than memory once its aliases
    are written out.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(_CONFLICT):
            raise ConfigError(
                f"{path} has the mark of a merge conflict in line {number}; resolve it, or take one side: "
                f"`git checkout --ours {path}` (or --theirs)"
            )
    try:
        _check_size(text)
        try:
            return YAML(typ="safe").load(text)
        except YAMLError:
            return YAML(typ="safe", pure=True).load(text)
    # Values that only look like dates or numbers, and keys that cannot be keys, come as errors of Python.
    except (
        YAMLError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise ConfigError(f"{path} is not valid YAML: {error or type(error).__name__}") from error


def _check_size(text: str) -> None:
    """Follow the events, which expand nothing; raises ValueError for what would fill the memory or the stack."""
    if "&" not in text and text.count("[") + text.count("{") < _DEEPEST and not _IN_ONE_LINE.search(text):
        deepest = max((len(line) - len(line.lstrip(" ")) for line in text.splitlines()), default=0)
        if deepest < _DEEPEST:
            return
    sizes: dict[str, int] = {}
    anchors: list[str | None] = []
    starts: list[int] = []
    total = 0
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"the alias *{event.anchor} stands within its own anchor, or has none")
            total += sizes[event.anchor]
        elif isinstance(event, CollectionStartEvent):
            anchors.append(event.anchor)
            starts.append(total)
            total += 1
            if len(starts) > _DEEPEST:
                raise ValueError(f"it is nested in more than {_DEEPEST} levels")
        elif isinstance(event, CollectionEndEvent):
            anchor, start = anchors.pop(), starts.pop()
            if anchor:
                sizes[anchor] = total - start
        elif isinstance(event, NodeEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if total > _MOST:
            raise ValueError(f"written out, its aliases make more than {_MOST:,} values")
