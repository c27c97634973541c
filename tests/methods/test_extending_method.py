"""The method of docs/extending-method.md: dropped into a copy of the package, it runs and is reported."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from modules import PACKAGE, ROOT
from ruamel.yaml import YAML
from tiny_world import tiny_params

from hmu_tasks.models.networks import weights
from hmu_tasks.runtime import paths

TABLE = "METHODS: dict[str, str] = {\n"


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs" / "extending-method.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_documented_method_runs(world: Path, tmp_path: Path) -> None:
    module, line = blocks("python")
    (section,) = blocks("yaml")
    package = tmp_path / "code" / "hmu_tasks"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "methods" / "dropping.py").write_text(module, encoding="utf-8")
    table = package / "methods" / "__init__.py"
    table.write_text(table.read_text(encoding="utf-8").replace(TABLE, TABLE + line), encoding="utf-8")
    values = tiny_params().model_dump(mode="json", by_alias=True)
    knobs = YAML(typ="safe").load(section)
    knobs["dropping"]["strengths"] = [0, 50]
    values["unlearn"] |= knobs
    values["run"]["methods"].append("dropping")
    (world / "params.yaml").write_text(json.dumps(values), encoding="utf-8")  # JSON is YAML
    for arguments in (
        ["unlearn", "momask", "dropping"],
        ["evaluate", "momask", "dropping"],
        ["report"],
    ):
        subprocess.run(
            [sys.executable, "-m", "hmu_tasks", *arguments],
            cwd=world,
            env={**os.environ, "PYTHONPATH": str(package.parent), "PYTHONSAFEPATH": "1"},
            check=True,
            timeout=300,
        )
    original = paths.edits("momask", "original") / "s0"
    same, half = (paths.edits("momask", "dropping") / f"strength{number:03d}-s0" for number in (0, 50))
    assert weights.digest(same / "base") == weights.digest(original / "base")
    edit = json.loads((half / "edit.json").read_text(encoding="utf-8"))
    read = ("cond_emb", "word_emb")
    assert edit["edited"] == [f"{part}.{one}.weight" for part in ("base", "residual") for one in read]
    before, after = (weights.load_state(folder / "base")["cond_emb.weight"] for folder in (original, half))
    kept = after != 0
    assert 0.3 < kept.float().mean() < 0.7
    assert (after[kept] == before[kept]).all()
    page = (paths.REPORTS / "index.html").read_text(encoding="utf-8")
    assert "dropped weights" in page
    assert "--method-dropping: #a65628;" in page
