"""The metric of docs/extending-metric.md is recorded beside the others, which stay what they were."""

import re
from pathlib import Path

import pytest
from tiny_world import tiny_params

from hmu_tasks import evaluate
from hmu_tasks.metrics import METRICS
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import read_json

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending-metric.md"


def test_the_metric_of_the_docs_leaves_the_other_records_alone(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, line = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "speed.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    name, address = re.findall(r'"([^"]+)"', line)
    before = read_json(paths.evaluation("momask", "original") / "metrics.json")
    monkeypatch.setitem(METRICS, name, address.replace("hmu_tasks.metrics.speed", "speed"))
    evaluate.run(tiny_params(), "momask", "original")
    after = read_json(paths.evaluation("momask", "original") / "metrics.json")
    found = [row for row in after if row["metric"] == name]
    assert {"forget", "retain", "forget-val", "retain-val"} <= {row["split"] for row in found}
    assert all(row["mean"] > 0 and row["interval"] for row in found)
    assert [row for row in after if row["metric"] != name] == before
