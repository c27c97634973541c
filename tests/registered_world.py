"""A finished tiny world with limits that its models meet, and further edits, for tests of registration."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny_world import tiny_params

if TYPE_CHECKING:
    from hmu_tasks.config.params import Params

NAME = "hmu-momask-synthetic-violence"
__all__ = ["LIMITS", "NAME", "add_edit", "easy_params", "measured", "register", "selected", "write_policy"]
LIMITS: dict[str, Any] = {
    "forget": {"forget/violence": 100.0},
    "retain": {"retain/r1": 100.0},
    "induced": {"retain": 1.0},
    "prompts": 1,
    "repeats": 2,
    "probes": [],
}


def easy_params(**limits: Any) -> "Params":
    """Tiny parameters with a gate that everything measured twice passes, or with other limits.

    The gate's tables of limits are replaced and not overlaid, so that none of the shipped limits is left in them.
    """
    from hmu_tasks.config.params import parse

    values = tiny_params().model_dump(mode="json", by_alias=True)
    values["register"] |= LIMITS | limits
    return parse(values, "easy")


def write_policy(root: Path, **changes: Any) -> None:
    """Write a policy that judges by the easy limits, one person at a time and without DVC, or with other entries."""
    from hmu_tasks.runtime.files import write_json

    limits = easy_params().register_.model_dump(mode="json") | changes.pop("limits", {})
    values = {"version": 1, "reproduced": "optional", "two_people": "never", "limits": limits}
    write_json(root / "policy.yaml", values | changes)  # JSON is YAML


def register(params: "Params", model: str, method: str, edit: str | None = None) -> Any:
    """Register without DVC's record, which the tiny world does not have."""
    from hmu_tasks.registry import publish

    return publish.run(params, model, method, edit, reproduced=False)


@pytest.fixture
def measured(world: Path, quick_stores: None) -> Path:
    """The tiny world with what validation and report would have written; their content does not matter here."""
    (world / "data" / "validation.json").write_text('{"success": true}', encoding="utf-8")
    write_policy(world)
    (world / "reports").mkdir(exist_ok=True)
    for name in ("index.html", "summary.txt", "benchmark.csv"):
        (world / "reports" / name).write_text(f"{name} of a test\n", encoding="utf-8")
    return world


def selected(root: Path) -> str:
    """Name of the edit that the tiny world selects."""
    evaluated = root / "runs" / "evaluate" / "0" / "momask" / "lcr"
    strength = json.loads((evaluated / "selection.json").read_text(encoding="utf-8"))["strength"]
    return f"strength{strength:03d}-s0"


def add_edit(root: Path, name: str) -> None:
    """Make a further edit out of the selected one, with other codebooks and the same metrics."""
    import torch

    from hmu_tasks.evaluation.record_files import read_records, write_records
    from hmu_tasks.models import model_named
    from hmu_tasks.models.networks import weights
    from hmu_tasks.models.networks.components import load_config
    from hmu_tasks.runtime.files import read_json, write_json

    edits, evaluated = (root / "runs" / step / "0" / "momask" / "lcr" for step in ("unlearn", "evaluate"))
    source = selected(root)
    shutil.copytree(edits / source, edits / name)
    state = weights.load_state(edits / name / "tokenizer")
    key = next(key for key in sorted(state) if "codebook" in key)
    state[key] = state[key] + torch.full_like(state[key], 0.01 * len(name))
    tokenizer = edits / name / "tokenizer"
    weights.save(state, load_config(tokenizer), tokenizer)
    parts = {part: edits / name / part for part in model_named("momask").parts}
    index = read_json(edits / name / "bundle.json")
    index["components"] = {part: weights.digest(folder) for part, folder in parts.items()}
    index["digest"] = weights.combine(index["components"])
    write_json(edits / name / "bundle.json", index)
    rows = read_records(evaluated)
    copies = [{**row, "edit": name, "bundle": index["digest"]} for row in rows if row["edit"] == source]
    write_records([*rows, *copies], evaluated)
