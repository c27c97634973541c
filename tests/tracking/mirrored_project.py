"""A project's folder for the mirror, and attempts of its stages."""

from dataclasses import asdict
from pathlib import Path

import pytest
from written_project import write_params

from hmu_tasks.runtime.files import write_json
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking.steps import StepRecord, record_file


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(lineage, "QUIET_SECONDS", 0.0)
    for name in ("MLFLOW_TRACKING_URI", "DVC_STAGE", lineage.PIPELINE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    write_params(folder)
    return folder


def attempt(
    stage: str, *, status: str = "FINISHED", pipeline: str = "dvc-host-1", start: float = 1e9
) -> None:
    """Leave the record of an attempt."""
    tags = lineage.origin(Path()) | {"hmu.process": "1-2-3"}
    record = StepRecord(stage, pipeline, tags, start, status, "", start + 2, {"seconds": 2.0})
    write_json(record_file(stage), asdict(record))
