"""Commands for the server, the deployments and a worker: `python -m flows.server.operate server`, `deploy`, `worker`.

All use the settings of flows/server/environment.py. PREFECT_AUTH sets the credentials, PREFECT_API_URL the server's
address, PREFECT_SERVER_DATABASE_CONNECTION_URL its database.
"""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from flows.server.environment import CHECKOUT_VARIABLE, project_root  # sets what Prefect reads at import

# isort: split
import typer

from flows.server import reports

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
PREFECT = [sys.executable, "-m", "prefect"]
PIPELINES_AT_ONCE = 2
"""Fewer than a worker's limit: a pipeline run waits for its stages, which need slots of their own."""
AUTOMATIONS = Path(__file__).with_name("automations.yaml")


@app.command()
def server(host: str = "127.0.0.1", port: int = 4200) -> None:
    """Start the Prefect server; SQLite in PREFECT_HOME, or the database that the connection URL names.

    On 127.0.0.1 and in a checkout its reports are served on the next port.
    """
    seen = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 compared, not bound
    os.environ.setdefault("PREFECT_SERVER_UI_API_URL", f"{seen}/api")
    os.environ.setdefault("PREFECT_UI_URL", seen)  # for links in notifications
    if host == "127.0.0.1" and reports.URL_VARIABLE not in os.environ and (project_root() / ".dvc").is_dir():
        reports.serve(project_root(), port + 1)
    _become([*PREFECT, "server", "start", "--host", host, "--port", str(port)])


@app.command()
def deploy() -> None:
    """Register pools, queues, automations and the deployments of prefect.yaml; can be repeated."""
    from hmu_tasks.runtime.yaml_files import parse_yaml

    _use_local_server()
    _create_pools()
    for automation in parse_yaml(AUTOMATIONS.read_text(encoding="utf-8"), AUTOMATIONS):
        register_automation(automation)
    description = Path(__file__).resolve().parents[2] / "prefect.yaml"
    run_prefect(["--no-prompt", "deploy", "--all", "--prefect-file", str(description)])


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
    from flows.engine.slots import stages_per_device, visible_devices

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
    from flows.server.webhook import failure_automation

    _use_local_server()
    register_automation(failure_automation(url))


def _use_local_server() -> None:
    os.environ.setdefault("PREFECT_API_URL", "http://127.0.0.1:4200/api")


def _create_pools() -> None:
    """Create the pools of processes, and a queue with a limit; existing ones are not modified.

    `prefect work-pool create` does not serve here: for the list of worker types it makes the server ask GitHub. The
    queues without a limit come into being with their deployments.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    with get_client(sync_client=True) as client:
        for name in ("cpu", "gpu"):
            pool = WorkPoolCreate(
                name=name,
                type=ProcessWorker.type,
                base_job_template=ProcessWorker.get_default_base_job_template(),
                description=f"Machines for stages marked `{name}` in dvc.yaml",
            )
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(pool)
        with suppress(ObjectAlreadyExists):
            client.create_work_queue(
                name="pipelines", work_pool_name="cpu", concurrency_limit=PIPELINES_AT_ONCE
            )


def register_automation(values: dict[str, Any]) -> None:
    """Create an automation in place of earlier ones of its name."""
    from prefect.client.orchestration import get_client
    from prefect.events.schemas.automations import AutomationCore

    automation = AutomationCore.model_validate(values)
    with get_client(sync_client=True) as client:
        for earlier in client.read_automations_by_name(automation.name):
            client.delete_automation(earlier.id)
        client.create_automation(automation)


def run_prefect(arguments: list[str]) -> None:
    """Run a command of Prefect; exits with a message if it fails."""
    done = subprocess.run([*PREFECT, *arguments], check=False)
    if done.returncode != 0:
        sys.exit(f"`prefect {arguments[0]}` failed; is there a server at {os.environ['PREFECT_API_URL']}?")


def _become(command: list[str]) -> None:
    """Replace this process by the command, so that signals reach it and the process id stays."""
    os.execve(command[0], command, os.environ)  # noqa: S606 there is no shell in between


if __name__ == "__main__":
    app()
