"""A Prefect server, workers and checkouts for the tests: real processes on this machine, each ended by its id."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
from running import command_line
from toy_project import Project

DATABASE = "prefect.db"
Found = TypeVar("Found")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(found: Callable[[], Found | None], seconds: float = 300.0, what: str = "") -> Found:
    """Ask again and again until there is an answer that is not None or False."""
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.2)


def clean_environment() -> dict[str, str]:
    """The environment without what belongs to Prefect, DVC and GPUs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT", "HMU_", "DVC_", "GIT_", "MLFLOW_"))
    }
    return kept | {"CUDA_VISIBLE_DEVICES": "", "DVC_NO_ANALYTICS": "1"}


def copy_of(template: Path, root: Path) -> Project:
    """A project of its own with the content of another."""
    shutil.copytree(template, root, symlinks=True)
    return Project(root.resolve(), clean_environment() | {"TOY_SIDE": str(root.resolve() / "side")})


@dataclass
class Lab:
    """A server and the processes started with it."""

    home: Path
    port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)
    credentials: str = ""
    server: subprocess.Popen[bytes] | None = None
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment() | {
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_WORKER_PREFETCH_SECONDS": "1",
            "HMU_REMOTE_WAITS": "1,2,4,8,16,32",
        } | self.variables  # fmt: skip

    def operate(self, *arguments: str) -> str:
        return self.command("flows.server.operate", *arguments)

    def prefect(self, *arguments: str) -> str:
        return self.command("prefect", *arguments)

    def command(self, module: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start_server(self) -> None:
        (self.home / "prefect").mkdir(parents=True, exist_ok=True)
        with (self.home / "server.log").open("a") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "flows.server.operate", "server", "--port", str(self.port)],
                cwd=self.home,
                env={name: value for name, value in self.environment.items() if name != "PREFECT_API_URL"},
                stdout=log,
                stderr=log,
            )

        def answers() -> bool:
            assert self.server is not None
            assert self.server.poll() is None, self.log("server")
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()  # noqa: S310
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False
            return True

        wait_until(answers, 120, "the server")

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def start_worker(self, name: str, pool: str, checkout: Project, *, limit: int = 4, **more: str) -> None:
        environment = self.environment | checkout.environment | self.environment | more
        with (self.home / f"{name}.log").open("a") as log:
            self.workers[name] = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "flows.server.operate",
                    "worker",
                    "--pool",
                    pool,
                    "--limit",
                    str(limit),
                ],
                cwd=checkout.root,
                env=environment | {"TOY_SIDE": str(checkout.side)},
                stdout=log,
                stderr=log,
            )

    def kill_worker(self, name: str) -> None:
        """End a worker and all its processes at once, as a machine that loses its power."""
        worker = self.workers.pop(name)
        family = [*psutil.Process(worker.pid).children(recursive=True), psutil.Process(worker.pid)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):  # it ended meanwhile
                # What stands in a session of its own would survive the loss of its parents; it must end by itself.
                same = os.getpgid(process.pid) == os.getpgid(worker.pid)
                if same or "prefect" in command_line(process):
                    process.kill()
        worker.wait()

    def stop_worker(self, name: str) -> None:
        worker = self.workers.pop(name)
        for _ in range(4):  # a worker that winds down may not hear the first one
            worker.send_signal(signal.SIGTERM)
            try:
                worker.wait(timeout=5)
                return
            except subprocess.TimeoutExpired:
                continue
        worker.kill()
        worker.wait()

    def stop_server(self) -> None:
        if self.server is None:
            return
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.server = None

    def stop(self) -> None:
        for name in list(self.workers):
            self.stop_worker(name)
        self.stop_server()

    # The API, without Prefect's client: what any other program would see.

    def api(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        given = {"Authorization": self.credentials} | headers if self.credentials else headers
        request = urllib.request.Request(  # noqa: S310 a server of ours
            f"{self.url}{path}",
            data=data,
            headers={"Content-Type": "application/json", **given},
            method=method,
        )
        for wait in (0.5, 1, 2, 4, 8, 0):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 a server of ours
                    content = answer.read()
                break
            except urllib.error.HTTPError as error:
                # Its database is busy; Prefect's own clients ask again, too.
                if error.code != 503 or not wait:
                    raise
                time.sleep(wait)
        return json.loads(content) if content else None

    def deployment(self, name: str) -> dict[str, Any]:
        return dict(self.api(f"/deployments/name/{name}", method="GET"))

    def start_run(self, deployment: str, **parameters: Any) -> str:
        number = self.deployment(deployment)["id"]
        return str(self.api(f"/deployments/{number}/create_flow_run", {"parameters": parameters})["id"])

    def flow_run(self, number: str) -> dict[str, Any]:
        return dict(self.api(f"/flow_runs/{number}", method="GET"))

    def wait_for(self, number: str, seconds: float = 500.0) -> dict[str, Any]:
        """Wait for the end of a flow run."""

        def ended() -> dict[str, Any] | None:
            run = self.flow_run(number)
            return run if run["state_type"] in {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"} else None

        return wait_until(ended, seconds, f"flow run {number}")

    def task_states(self, flow_run: str, count: int) -> dict[str, str]:
        """States by task run; they reach the database a moment after the flow has ended."""
        body = {"flow_runs": {"id": {"any_": [flow_run]}}}

        def settled() -> dict[str, str] | None:
            found = {run["name"]: run["state_name"] for run in self.api("/task_runs/filter", body)}
            return found if len(found) >= count and not {"Pending", "Running"} & set(found.values()) else None

        return wait_until(settled, what=f"task runs of {flow_run}")

    def artifacts(self, flow_run: str) -> dict[str, Any]:
        body = {"flow_runs": {"id": {"any_": [flow_run]}}}
        return {one["key"]: one["data"] for one in self.api("/artifacts/filter", body)}

    def lines(self, flow_run: str) -> str:
        body = {"logs": {"flow_run_id": {"any_": [flow_run]}}, "limit": 200}
        return "\n".join(one["message"] for one in self.api("/logs/filter", body))

    def runs_of(self, flow: str) -> list[dict[str, Any]]:
        body = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC"}
        return list(self.api("/flow_runs/filter", body))
