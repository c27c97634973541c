"""One command each for server, deployments and worker: `python -m flows.server.operate server`, `deploy`, `worker`.

All of them take the settings of flows/engine/environment.py; PREFECT_AUTH, PREFECT_API_URL and
PREFECT_SERVER_DATABASE_CONNECTION_URL change who may come in, where the server is, and where it keeps its records.
"""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from flows.engine.environment import (  # sets what Prefect reads at its import
    CHECKOUT_VARIABLE,
    DEFAULTS,
    project_root,
)

# isort: split
import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
PREFECT = [sys.executable, "-m", "prefect"]
PIPELINES_AT_ONCE = 2
"""Fewer than a worker's limit: a pipeline run waits for stages, which need places of their own."""
SILENT_BEATS = 3


@app.command()
def server(host: str = "127.0.0.1", port: int = 4200) -> None:
    """Start the Prefect server; SQLite in PREFECT_HOME, or the database that the connection URL names."""
    seen = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 compared, not bound
    os.environ.setdefault("PREFECT_SERVER_UI_API_URL", f"{seen}/api")
    os.environ.setdefault("PREFECT_UI_URL", seen)  # for links in notifications
    _become([*PREFECT, "server", "start", "--host", host, "--port", str(port)])


@app.command()
def deploy(
    silent_seconds: Annotated[
        float | None, typer.Option(help="Without a heartbeat for so long, a run is Crashed (three beats).")
    ] = None,
) -> None:
    """Register pools, queues, automations and the deployments of prefect.yaml; can be repeated."""
    from flows.server.automations import crash_silent_runs

    _use_local_server()
    for pool in ("cpu", "gpu"):
        _pool(pool)
    _queue("pipelines", "cpu", limit=PIPELINES_AT_ONCE)
    _queue("promotions", "cpu")
    _queue("stages", "cpu")
    _queue("stages", "gpu")
    seconds = silent_seconds or SILENT_BEATS * int(os.environ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    crash_silent_runs(timedelta(seconds=seconds))
    description = Path(__file__).resolve().parents[2] / "prefect.yaml"
    _run([*PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", str(description)])


@app.command()
def worker(
    pool: Annotated[str, typer.Option(help="cpu or gpu")] = "cpu",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Flow runs at once; the GPUs of the machine, or 4.")
    ] = None,
    with_healthcheck: Annotated[
        bool, typer.Option("--with-healthcheck", help="Answer on port 8080 whether the worker is well.")
    ] = False,
) -> None:
    """Start a worker on this checkout; Ctrl-C or SIGTERM ends it, with the runs that it has."""
    from flows.engine.seats import stages_per_device, visible_devices

    _use_local_server()
    most = limit or (max(len(visible_devices()), 1) * stages_per_device() if pool == "gpu" else 4)
    if pool == "cpu" and most <= PIPELINES_AT_ONCE:
        sys.stderr.write(
            f"note: with {most} places, {PIPELINES_AT_ONCE} pipeline runs with placement `pools` would leave none "
            "for their stages; start a second worker\n"
        )
    os.environ.setdefault(CHECKOUT_VARIABLE, str(project_root()))
    if (Path(os.environ[CHECKOUT_VARIABLE]) / "flows").is_dir():
        # Flow runs start in an empty folder; the checkout's own code goes before an installed copy.
        places = [os.environ[CHECKOUT_VARIABLE], *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(places)
    os.environ.setdefault("PREFECT_WORKER_QUERY_SECONDS", "5")
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    more = ["--with-healthcheck"] if with_healthcheck else []
    name = f"{socket.gethostname()}-{pool}-{os.getpid()}"
    command = ["worker", "start", "--name", name, "--pool", pool, "--type", "process", "--limit", str(most)]
    _become([*PREFECT, *command, *more])


@app.command()
def notify(url: str) -> None:
    """Call a webhook for every flow run that fails."""
    from flows.server.automations import call_webhook_on_failure

    _use_local_server()
    call_webhook_on_failure(url)


def _use_local_server() -> None:
    os.environ.setdefault("PREFECT_API_URL", "http://127.0.0.1:4200/api")


def _pool(name: str) -> None:
    """Create a pool of processes; one that is there stays as it is, somebody may have made it of containers."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    pool = WorkPoolCreate(
        name=name,
        type=ProcessWorker.type,
        base_job_template=ProcessWorker.get_default_base_job_template(),
        description=f"Machines for stages marked `{name}` in dvc.yaml",
    )
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(pool)


def _queue(name: str, pool: str, *, limit: int | None = None) -> None:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_queue(name=name, work_pool_name=pool, concurrency_limit=limit)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        sys.exit(
            f"`prefect {' '.join(command[3:])}` failed; is there a server at {os.environ['PREFECT_API_URL']}?"
        )


def _become(command: list[str]) -> None:
    """Turn this process into the command, so that signals and process ids mean what they seem to mean."""
    os.execve(command[0], command, os.environ)  # noqa: S606 there is no shell in between


__all__ = ["DEFAULTS", "app"]

if __name__ == "__main__":
    app()
