"""What the report says about the data contracts that were checked, and settings as short texts."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 12  # longer lists in flattened settings are cut


@dataclass(frozen=True)
class Suite:
    """One suite of data contracts: each with its column, the values checked, and whether it holds."""

    name: str
    contracts: tuple[tuple[str, str, int, bool], ...]


def suites(record: Mapping[str, Any]) -> tuple[Suite, ...]:
    """Read what the validate step wrote (validation.json)."""
    return tuple(
        Suite(
            name=suite["name"],
            contracts=tuple(
                (c["contract"], c["column"], c["checked"], c["success"]) for c in suite["contracts"]
            ),
        )
        for suite in record.get("suites", ())
    )


def facts(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten nested settings to pairs of a dotted name and a short text."""
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from facts(item, f"{name}.")
        elif isinstance(item, list | tuple):
            words = [json.dumps(i, sort_keys=True) if isinstance(i, dict | list) else str(i) for i in item]
            rest = f" … and {len(words) - LONGEST} more" if len(words) > LONGEST else ""
            yield name, (", ".join(words[:LONGEST]) or "none") + rest
        elif isinstance(item, bool) or item is None:
            yield name, {True: "yes", False: "no", None: "–"}[item]
        else:
            yield name, f"{item:.4g}" if isinstance(item, float) else str(item)
