"""A server as it stands on a shared machine: PostgreSQL, authentication, a webhook on failures, no secrets in logs."""

import base64
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, free_port, wait_until
from toy_project import Project

AUTH = "engineer:open-sesame-7"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Connection URL of a PostgreSQL cluster of this test's own; PostgreSQL refuses to run as root."""
    debian = sorted(str(place) for place in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    if found is None:
        pytest.skip("PostgreSQL's binaries are not installed")
    user: dict[str, Any] = (
        {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    )
    folder = Path(tempfile.mkdtemp(prefix="hmu-pg-"))
    if user:
        shutil.chown(folder, "postgres", "postgres")
    bin_folder, port = Path(found).resolve().parent, free_port()
    password = folder / "password"
    password.write_text("database-secret", encoding="utf-8")
    password.chmod(0o644)
    create = [
        found,
        "-D",
        str(folder / "data"),
        "-U",
        "hmu",
        "-A",
        "scram-sha-256",
        f"--pwfile={password}",
        "-N",
    ]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd="/", **user)
    options = [
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        f"unix_socket_directories={folder}",
        "-c",
        "fsync=off",
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [str(bin_folder / "postgres"), "-D", str(folder / "data"), "-p", str(port), *options],
            cwd="/",
            stdout=log,
            stderr=log,
            **user,
        )
    url = f"postgresql+asyncpg://hmu:database-secret@127.0.0.1:{port}/postgres"
    try:
        ready = [str(bin_folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, what="PostgreSQL")
        yield url
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Address of a receiver, and what has arrived there."""
    received: list[dict[str, Any]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", received
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def shared_server(postgres: str, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path / "lab")
    made.variables |= {"PREFECT_AUTH": AUTH, "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres}
    made.credentials = "Basic " + base64.b64encode(AUTH.encode()).decode()
    try:
        made.start_server()
        yield made
    finally:
        made.stop()


@pytest.mark.slow
def test_a_shared_server_from_its_start_to_a_failure_that_is_told(
    project: Project, shared_server: Lab, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    lab, (address, received) = shared_server, webhook
    lab.operate("deploy")
    lab.operate("deploy")  # again, as after an upgrade
    lab.operate("notify", address)
    assert not (lab.home / "prefect" / "prefect.db").exists()
    with pytest.raises(urllib.error.HTTPError) as refused:
        lab.api("/flow_runs/filter", {}, Authorization="")
    assert refused.value.code == 401
    refused.value.close()

    # The worker has the one variable, too, and a password that a stage prints.
    lab.start_worker("cpu", "cpu", project, TOY_PASSWORD="not-for-anyone-5")  # noqa: S106
    number = lab.start_run("unlearning/on-demand", targets=["prepare"], name="kept")
    run = lab.wait_for(number)
    assert run["state_name"] == "Completed", run["state"]["message"] + lab.log("cpu")
    assert "kept" in project.experiments()
    lines = wait_until(lambda: "password is" in (text := lab.lines(number)) and text, what="the log")
    assert "password is ***" in lines

    number = lab.start_run("unlearning/on-demand", revision="nowhere")
    run = lab.wait_for(number)
    assert run["state_name"] == "Failed"
    assert "no revision 'nowhere'" in run["state"]["message"]
    wait_until(lambda: bool(received), what="the webhook")
    assert received == [
        {
            "flow": "unlearning",
            "run": run["name"],
            "state": "Failed",
            "address": f"http://127.0.0.1:{lab.port}/runs/flow-run/{number}",
        }
    ]
    lab.stop_worker("cpu")
    for text in (lab.log("server"), lab.log("cpu")):
        for secret in ("open-sesame-7", "database-secret", "not-for-anyone-5"):
            assert secret not in text
