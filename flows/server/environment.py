"""Prefect's settings for servers, workers and flows; import it before Prefect, which reads them when imported.

Variables that are already set win. PREFECT_AUTH=user:password switches authentication on, for the server and for
everything that talks to it.
"""

import os
from pathlib import Path

from hmu_tasks.runtime.environment import prepare

CHECKOUT_VARIABLE = "HMU_CHECKOUT"
"""Environment variable: the checkout of a worker, for its flow runs."""


def project_root(start: Path | None = None) -> Path:
    """Find the folder of the DVC project at or above `start` (the working folder).

    A flow run of a worker starts in an empty folder; there HMU_CHECKOUT says where the worker's checkout is.
    Returns `start` itself if there is no project.
    """
    folder = (start or Path.cwd()).resolve()
    named = [Path(os.environ[CHECKOUT_VARIABLE])] if CHECKOUT_VARIABLE in os.environ else []
    return next((at for at in (folder, *folder.parents, *named) if (at / ".dvc").is_dir()), folder)


DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_CLI_PROMPT": "false",
    # A flow run that sends nothing for three times this long is presumed dead; see automations.yaml.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # The first start of the temporary server creates its database; 20 s, the default, is short for that.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    # Runs older than PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD (90 days) go, with logs and artifacts.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}

prepare()
for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)

if credentials := os.environ.get("PREFECT_AUTH"):
    os.environ.setdefault("PREFECT_API_AUTH_STRING", credentials)
    os.environ.setdefault("PREFECT_SERVER_API_AUTH_STRING", credentials)

if (project_root() / ".dvc").is_dir():
    os.environ.setdefault("PREFECT_HOME", str(project_root() / "runs" / "side" / "prefect"))
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)  # Prefect does not make the parents
