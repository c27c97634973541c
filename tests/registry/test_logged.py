"""A version's entry on MLflow's page Models: made once, and made up for where the store failed before it was whole."""

from pathlib import Path
from typing import Any

import pytest
from registered_world import NAME, easy_params, register, selected

from hmu_tasks.registry.gathering import gather_evidence
from hmu_tasks.registry.logged import complete_log, headline, log_model
from hmu_tasks.registry.moves import CANDIDATE
from hmu_tasks.registry.versions import Registry, open_registry
from hmu_tasks.runtime.errors import HmuError

# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred as AnyType"
)
STEPS = ("create_logged_model", "log_batch", "finalize_logged_model", "log_outputs")


def logged(registry: Registry) -> list[Any]:
    experiment = registry.client.get_experiment_by_name("hmu").experiment_id
    return list(registry.client.search_logged_models([experiment]))


def fail_once(patch: pytest.MonkeyPatch, step: str) -> None:
    """Let the store refuse the first call of a step that concerns a logged model."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    real = getattr(MlflowClient, step)

    def failing(self: Any, *arguments: Any, **keywords: Any) -> Any:
        of_a_model = step != "log_batch" or any(one.model_id for one in keywords.get("metrics", ()))
        if not of_a_model:
            return real(self, *arguments, **keywords)
        patch.setattr(MlflowClient, step, real)
        raise MlflowException("the store is away")

    patch.setattr(MlflowClient, step, failing)


@pytest.mark.slow
def test_a_version_without_its_logged_model_gets_it_when_registered_again(
    measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    params = easy_params()
    with monkeypatch.context() as patch:
        fail_once(patch, "create_logged_model")
        with pytest.raises(HmuError, match="the store is away"):
            register(params, "momask", "lcr")
    registry = open_registry(measured, NAME)
    (version,) = registry.versions()
    assert logged(registry) == []
    assert registry.aliases() == {}
    capsys.readouterr()

    assert register(params, "momask", "lcr").number == version.number
    said = capsys.readouterr().out
    assert "version 1 was interrupted before it was on MLflow's page Models; it was added" in said
    assert "version 1 passed the gate (registered before)" in said
    assert registry.aliases() == {CANDIDATE: 1}
    evidence = gather_evidence(params, "momask", "lcr")

    def check_the_only_one() -> str:
        (model,) = logged(registry)
        assert (str(model.status), model.source_run_id) == ("READY", version.run_id)
        assert model.name == f"lcr-{selected(measured)}-momask"
        assert model.params["bundle"] == evidence.bundle
        assert {one.key: one.value for one in model.metrics} == headline(evidence)
        run = registry.client.get_run(version.run_id)
        assert run.data.tags["hmu.version"] == f"{NAME} 1"
        assert model.model_id in [one.model_id for one in run.outputs.model_outputs]
        return str(model.model_id)

    first = check_the_only_one()
    assert register(params, "momask", "lcr").number == 1
    assert "interrupted" not in capsys.readouterr().out
    assert check_the_only_one() == first

    for step in STEPS:
        registry.client.delete_logged_model(check_the_only_one())
        with monkeypatch.context() as patch:
            fail_once(patch, step)
            with pytest.raises(HmuError, match="the store is away"):
                log_model(registry, version, evidence)
        assert complete_log(registry, version)
        check_the_only_one()
        assert not complete_log(registry, version)

    registry.client.delete_logged_model(check_the_only_one())
    registry.client.update_run(version.run_id, status="RUNNING")
    assert not complete_log(registry, version)  # this process, which lives, is at it
    assert logged(registry) == []
    registry.client.set_tag(version.run_id, "hmu.process", "1-0")  # another one, which does not live
    assert complete_log(registry, version)
    check_the_only_one()
