"""MLflow's logged model of a version: what the experiment's page *Models* lists, compares and links.

An entry of an index only, like tags: files, evidence and signed statement stay with the run that registered the
version, and no command here reads it.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from hmu_tasks.registry.card import SHOWN, shown
from hmu_tasks.registry.evidence import Evidence
from hmu_tasks.registry.verification import read_evidence
from hmu_tasks.registry.versions import GATE_TAG, Registry, Version
from hmu_tasks.tracking.runs import Store, metric_name
from hmu_tasks.tracking.store import clear_errors

TYPE = "text-to-motion"
READY, RUNNING = "READY", "RUNNING"


def log_model(registry: Registry, version: Version, evidence: Evidence) -> str:
    """Name a version in its run and add its logged model there, with its headline metrics; returns the model's id.

    It is READY once everything is in it, and linked to the run last. Raises HmuError where the store fails;
    `complete_log` then makes up for it.
    """
    from mlflow.entities import Metric

    place = f"models:/{registry.name}/{version.number}"
    tags = {
        "mlflow.modelVersions": json.dumps([{"name": registry.name, "version": str(version.number)}]),
        "mlflow.note.content": f"Registered as `{place}`. Its files are artifacts of the source run, folder `model`.",
        GATE_TAG: version.tags.get(GATE_TAG, ""),
    }
    params = {
        "model": evidence.model,
        "method": evidence.method,
        "edit": evidence.edit,
        "dataset": evidence.dataset,
        "concept": evidence.concept,
        "bundle": evidence.bundle,
    }
    client, run, now = registry.client, version.run_id, int(time.time() * 1000)
    with clear_errors(registry.uri):
        client.set_tag(run, "hmu.version", f"{registry.name} {version.number}")
        experiment = client.get_run(run).info.experiment_id
        name = f"{evidence.method}-{evidence.edit}-{evidence.model}"
        made = client.create_logged_model(experiment, name, run, tags, params, TYPE).model_id
        rows = [
            Metric(metric_name(key), value, now, 0, model_id=made)
            for key, value in headline(evidence).items()
        ]
        client.log_batch(run, metrics=rows)
        client.finalize_logged_model(made, READY)
    _link(registry, version, made)
    return str(made)


def complete_log(registry: Registry, version: Version) -> bool:
    """Finish the logged model of a version whose registration was interrupted; returns whether there was need to.

    It tells what the version was registered with, whatever has been measured since. One that is not READY is replaced,
    and a version whose run is still open is left to the process that registers it. Raises HmuError where the store
    fails, or the version's evidence is not what was registered.
    """
    if _run(registry, version).info.status == RUNNING:
        Store(registry.root)  # closes the runs of processes that were killed
    run = _run(registry, version)
    if run.info.status == RUNNING:
        return False
    with clear_errors(registry.uri):
        found = registry.client.search_logged_models(
            [run.info.experiment_id], filter_string=f"source_run_id = '{version.run_id}'"
        )
    ready = {str(model.model_id) for model in found if str(model.status) == READY}
    if ready & {str(one.model_id) for one in run.outputs.model_outputs}:
        return False
    if ready:
        _link(registry, version, min(ready))
        return True
    evidence = read_evidence(registry, version.number)
    assert evidence is not None
    for model in found:
        with clear_errors(registry.uri):
            registry.client.delete_logged_model(model.model_id)
    log_model(registry, version, evidence)
    return True


def _link(registry: Registry, version: Version, model: str) -> None:
    from mlflow.entities import LoggedModelOutput

    with clear_errors(registry.uri):
        registry.client.log_outputs(version.run_id, [LoggedModelOutput(model, 0)])


def _run(registry: Registry, version: Version) -> Any:
    with clear_errors(registry.uri):
        return registry.client.get_run(version.run_id)


def headline(evidence: Evidence) -> Mapping[str, float]:
    """The means that a version is compared by: the rows of its card, and the success of each attack."""
    names = [f"{split}/{key}" for table in SHOWN for split, key in shown(evidence, table)]
    measured = {name: evidence.edited[name].mean for name in names}
    attacks = {
        f"probe/{attack}": one.mean for attack, one in evidence.probes.items() if one.inapplicable is None
    }
    return {key: value for key, value in (measured | attacks).items() if value is not None}
