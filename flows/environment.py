"""Prefect's settings for a run on one machine; imported before Prefect, which reads them at its import.

Every variable that is already set wins.
"""

import os
from pathlib import Path


def project_root(start: Path | None = None) -> Path:
    """Find the folder of the DVC project at or above `start` (the working folder), or return `start`."""
    folder = (start or Path.cwd()).resolve()
    return next((at for at in (folder, *folder.parents) if (at / ".dvc").is_dir()), folder)


DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # The first start of the temporary server creates its database; 20 s, the default, is short for that.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}

for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)

if (project_root() / ".dvc").is_dir():
    os.environ.setdefault("PREFECT_HOME", str(project_root() / "runs" / "side" / "prefect"))
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)  # Prefect does not make the parents
