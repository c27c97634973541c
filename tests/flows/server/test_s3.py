"""An S3-compatible remote that goes away for a while."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, copy_of, free_port, wait_until

pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed")
pytest.importorskip("moto", reason="moto is not installed")

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
}


class Gate:
    """A port that passes everything on to another one, or refuses, as a network that comes and goes."""

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        for one in [self._listener, *self._open]:
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._listener, self._open = None, []

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate before an S3 server that has one bucket."""
    port = free_port()
    with (tmp_path / "s3.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=log,
            env=os.environ | KEYS,
        )
    made = Gate(port)
    try:
        wait_until(lambda: reachable(port), what="the S3 server")
        code = (
            "import boto3; boto3.client('s3', endpoint_url="
            f"'http://127.0.0.1:{port}').create_bucket(Bucket='bucket')"
        )
        make = [sys.executable, "-c", code]
        subprocess.run(make, check=True, capture_output=True, env=os.environ | KEYS)
        made.open()
        yield made
    finally:
        made.close()
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_a_run_through_s3_outlives_the_loss_of_the_remote(
    lab: Lab, template: Path, tmp_path: Path, gate: Gate
) -> None:
    first = copy_of(template, tmp_path / "first")
    first.environment.update(KEYS)
    first.dvc("remote", "add", "--default", "s3", "s3://bucket/cache")
    first.dvc("remote", "modify", "s3", "endpointurl", f"http://127.0.0.1:{gate.port}")
    first.git("commit", "-q", "--all", "-m", "remote")
    second = first.clone(tmp_path / "second")
    first.flag("slow", "5")
    for name in list(lab.workers):
        lab.stop_worker(name)
    lab.start_worker("cpu-s3", "cpu", first)
    lab.start_worker("gpu-s3", "gpu", second)
    try:
        number = lab.start_run(
            "unlearning/on-demand",
            placement="pools",
            finish="branch",
            targets=["train@b"],
            overrides={"train.rate": 9},
            name="nine",
        )
        wait_until(lambda: "train-b" in first.executed(), what="the stage")
        gate.close()
        (child,) = [
            run
            for run in lab.runs_of("stage")
            if run["parameters"].get("scratch") == "nine" and run["name"] == "train@b"
        ]
        wait_until(lambda: "`dvc push` failed" in lab.lines(child["id"]), what="the first try")
        gate.open()
        run = lab.wait_for(number)
        assert run["state_name"] == "Completed", (
            run["state"]["message"] + lab.log("cpu-s3") + lab.log("gpu-s3")
        )
        assert first.executed() == ["prepare", "train-b"]
        assert first.git("log", "--format=%s", "main..nine").startswith("nine: 2 stages")
        assert first.git("diff", "--name-only", "main", "nine").split() == ["dvc.lock", "params.yaml"]
        second.git("fetch", "-q", str(first.root), "nine")
        second.git("switch", "-q", "--detach", "FETCH_HEAD")
        second.dvc("pull", "train@b", "prepare")
        assert "Running stage" not in second.dvc("repro", "train@b")
        assert "testing-secret" not in lab.log("cpu-s3") + lab.log("gpu-s3")
    finally:
        for name in ("cpu-s3", "gpu-s3"):
            lab.stop_worker(name)
