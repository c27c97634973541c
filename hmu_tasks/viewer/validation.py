"""The validation site: plain pages that open from disk without network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def write_site(record: Mapping[str, Any], folder: Path, history: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write index.html and one page per suite into `folder`.

    record: what `hmu_tasks.data.contracts.expectations.as_record` gives (success, limits, suites with their contracts).
    history: validations of this checkout, oldest first: when, broken, total, and rows by suite.
    """
    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(
        "validation.html"
    )
    contracts = [contract for suite in record["suites"] for contract in suite["contracts"]]
    common = {
        "record": record,
        "total": len(contracts),
        "broken": sum(not contract["success"] for contract in contracts),
        "count": _count,
        "limit": _limit,
        "history": history,
    }
    for suite in (None, *record["suites"]):
        name = "index" if suite is None else suite["name"]
        (folder / f"{name}.html").write_text(template.render(suite=suite, **common) + "\n", encoding="utf-8")


def _count(number: int) -> str:
    return f"{number:,}"


def _limit(value: Any) -> str:
    return " to ".join(f"{part:g}" for part in value) if isinstance(value, list | tuple) else f"{value:g}"
