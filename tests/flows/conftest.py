"""A small DVC project for each test, and one real Prefect server for all of them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_project import GRAPH, STEP, Project


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "project"
    (root / "side").mkdir(parents=True)
    (root / "out").mkdir()
    (root / "step.py").write_text(STEP, encoding="utf-8")
    (root / "dvc.yaml").write_text(GRAPH.format(python=sys.executable), encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Iterator[Project]:
    root = (tmp_path / "a project").resolve()
    shutil.copytree(template, root)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    for name in ("CUDA_VISIBLE_DEVICES", "HMU_PIPELINE_RUN", "DVC_STAGE"):
        environment.pop(name, None)
    environment["CUDA_VISIBLE_DEVICES"] = ""  # no devices, whatever the machine has
    made = Project(root, environment)
    yield made
    for process in made.processes():
        process.kill()


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Prefect server started for the tests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("prefect")
    environment = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api"
    deadline = time.monotonic() + 120
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None, (home / "server.log").read_text()
                assert time.monotonic() < deadline, (home / "server.log").read_text()
                time.sleep(0.3)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
