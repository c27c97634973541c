"""opt.txt of an official checkpoint folder: the sizes of its network, read strictly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.foreign import SETTINGS, read_text

_RULE = re.compile(r"-{3,}.*-{3,}")
# Copies of the evaluator's opt.txt are about in which one line, added by hand, has an equals sign.
_LINE = re.compile(r"(\w+)\s*[:=]\s*(.*)")


@dataclass(frozen=True)
class Options:
    """The `key: value` lines of one opt.txt; every getter raises WeightsError naming file, key and what is allowed."""

    path: Path
    values: Mapping[str, str]

    def text(self, key: str) -> str:
        """Return a value as it is written."""
        if key not in self.values:
            raise WeightsError(
                f"{self.path} lacks {key!r}; put the opt.txt there that came with this very checkpoint"
            )
        return self.values[key]

    def integer(self, key: str, *, high: int) -> int:
        """Return a whole number from 1 to `high`."""
        value = self.text(key)
        if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= high:
            raise self._odd(key, f"expected a whole number from 1 to {high}")
        return int(value)

    def share(self, key: str) -> float:
        """Return a number of at least 0 and below 1."""
        try:
            value = float(self.text(key))
        except ValueError:
            value = -1.0
        if not 0 <= value < 1:
            raise self._odd(key, "expected a number of at least 0 and below 1")
        return value

    def require(self, key: str, wanted: str) -> None:
        """Check that a value is the only one which the networks here can take."""
        if self.text(key) != wanted:
            raise self._odd(key, f"only {wanted} is supported here")

    def _odd(self, key: str, allowed: str) -> WeightsError:
        return WeightsError(f"{self.path}: {key} is {self.values[key]!r}; {allowed}")


def read_options(path: Path) -> Options:
    """Read an opt.txt as the official option parsers write it: a header, sorted `key: value` lines, a footer.

    Raises WeightsError for a file that is missing, not text, or has a line that is not `key: value` or a key twice.
    """
    try:
        lines = read_text(path, limit=SETTINGS, encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path} is missing; it has the network's sizes: put it next to the model folder, as published"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path} cannot be read as text ({error}); get the file again") from error
    values: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or _RULE.fullmatch(line.strip()):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise WeightsError(f"{path}, line {number}: {line.strip()[:60]!r} is not `key: value`")
        key, value = found.groups()
        if key in values:
            raise WeightsError(f"{path}, line {number}: {key} is given twice; keep one of the lines")
        values[key] = value
    return Options(path, values)
