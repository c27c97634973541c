"""An experiment that somebody deleted in MLflow's pages: its name stays taken, so it is restored."""

from pathlib import Path

import pytest

from hmu_tasks.tracking.runs import EXPERIMENT, Store

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


def test_a_deleted_experiment_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    first = Store(tmp_path)
    first.client.delete_experiment(first.experiment)
    second = Store(tmp_path)
    assert second.experiment == first.experiment
    assert second.client.get_experiment_by_name(EXPERIMENT).lifecycle_stage == "active"
    run = second.client.create_run(second.experiment)
    assert second.client.get_run(run.info.run_id).info.experiment_id == first.experiment
