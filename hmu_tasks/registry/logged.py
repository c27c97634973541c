"""MLflow's logged model of a version: what the experiment's page *Models* lists, compares and links.

An entry of an index only, like tags: files, evidence and signed statement stay with the run that registered the
version, and no command here reads it.
"""

import json
import time
from collections.abc import Mapping

from hmu_tasks.registry.card import SHOWN, shown
from hmu_tasks.registry.evidence import Evidence
from hmu_tasks.registry.versions import GATE_TAG, Registry, Version
from hmu_tasks.tracking.runs import StoreRun, metric_name
from hmu_tasks.tracking.store import clear_errors

TYPE = "text-to-motion"


def log_model(run: StoreRun, registry: Registry, version: Version, evidence: Evidence) -> str:
    """Add the logged model of a version to its run, with its headline metrics; returns its id.

    Raises HmuError where the store fails.
    """
    from mlflow.entities import LoggedModelOutput, Metric

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
    client, now = run.client, int(time.time() * 1000)
    with clear_errors(run.uri):
        experiment = client.get_run(run.run_id).info.experiment_id
        name = f"{evidence.method}-{evidence.edit}-{evidence.model}"
        made = client.create_logged_model(experiment, name, run.run_id, tags, params, TYPE).model_id
        rows = [
            Metric(metric_name(key), value, now, 0, model_id=made)
            for key, value in headline(evidence).items()
        ]
        client.log_batch(run.run_id, metrics=rows)
        client.finalize_logged_model(made, "READY")
        client.log_outputs(run.run_id, [LoggedModelOutput(made, 0)])
    return str(made)


def headline(evidence: Evidence) -> Mapping[str, float]:
    """The means that a version is compared by: the rows of its card, and the success of each attack."""
    names = [f"{split}/{key}" for table in SHOWN for split, key in shown(evidence, table)]
    measured = {name: evidence.edited[name].mean for name in names}
    attacks = {
        f"probe/{attack}": one.mean for attack, one in evidence.probes.items() if one.inapplicable is None
    }
    return {key: value for key, value in (measured | attacks).items() if value is not None}
