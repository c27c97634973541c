"""The registry on other stores: PostgreSQL and an S3-compatible bucket behind a server that asks who one is.

The servers are real ones on 127.0.0.1 that the tests start; without PostgreSQL's programs or moto they are skipped.
"""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from registered_world import NAME, easy_params, register

from hmu_tasks.registry import promote
from hmu_tasks.registry.versions import Registry, open_registry
from hmu_tasks.runtime.errors import HmuError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred as AnyType"
    ),
]
BIN = Path(sys.executable).parent
BUCKET = "hmu-artifacts"
ADMIN = ("admin", "a long password of a test")
READER = ("reader", "another long password")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A process that listens, and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, ready: Callable[[], bool], seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def serve(folder: Path, name: str, command: list[str], env: dict[str, str] | None = None) -> Server:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    log = folder / f"{name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PATH": path} | (env or {}),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    return Server(process, log)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


def program(name: str) -> str:
    """Path of one of PostgreSQL's programs; Debian keeps them out of PATH."""
    places = [shutil.which(name), *sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))]
    found = [place for place in places if place]
    if not found:
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return found[-1]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a fresh PostgreSQL database. The server refuses to run as root, so root lends it to `postgres`."""
    initdb, server = program("initdb"), program("postgres")
    pytest.importorskip("psycopg2", reason="MLflow needs psycopg2 to reach PostgreSQL")
    folder = tmp_path_factory.mktemp("postgres")
    asroot: list[str] = []
    if os.geteuid() == 0:
        if (
            shutil.which("runuser") is None
            or subprocess.run(["id", "postgres"], capture_output=True).returncode
        ):
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        asroot = ["runuser", "-u", "postgres", "--"]
        folder = Path(tempfile.mkdtemp(prefix="hmu-postgres-"))  # pytest's folders are closed to other users
        shutil.chown(folder, "postgres")
    port = free_port()
    made = [*asroot, initdb, "--no-sync", "--auth=trust", "--username=hmu", "--pgdata", str(folder / "data")]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    options = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
    running = serve(folder, "postgres", [*asroot, server, *options])

    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0 and "ready to accept" in running.log.read_text()

    try:
        running.wait(ready)
        # SQLAlchemy 2.1 takes plain postgresql:// for psycopg 3.
        yield f"postgresql+psycopg2://hmu@127.0.0.1:{port}/postgres"
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that lead to an S3-compatible store with one empty bucket."""
    pytest.importorskip("moto", reason="moto is the S3-compatible store of this test")
    boto3 = pytest.importorskip("boto3", reason="MLflow needs boto3 to reach S3")
    port = free_port()
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    running = serve(tmp_path_factory.mktemp("s3"), "moto", [sys.executable, "-c", code])
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    try:
        running.wait(lambda: answers(variables["MLFLOW_S3_ENDPOINT_URL"]))
        client = boto3.client(
            "s3",
            endpoint_url=variables["MLFLOW_S3_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=BUCKET)
        yield variables
    finally:
        running.stop()


@pytest.fixture(scope="module")
def mlflow_server(
    postgres: str, s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Server]]:
    """The tracking server as the notes describe it: lean, with PostgreSQL, a bucket, and authentication."""
    pytest.importorskip("flask_wtf", reason="MLflow's authentication needs Flask-WTF (mlflow[auth])")
    folder = tmp_path_factory.mktemp("mlflow")
    shipped = (Path(__file__).parents[2] / "mlflow" / "basic_auth.ini").read_text(encoding="utf-8")
    settings = re.sub(r"(?m)^database_uri = .*", f"database_uri = sqlite:///{folder / 'auth.db'}", shipped)
    (folder / "auth.ini").write_text(settings, encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--app-name", "basic-auth", "--artifacts-destination", f"s3://{BUCKET}/runs"]
    variables = s3 | {
        "MLFLOW_BACKEND_STORE_URI": postgres,
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret of a test",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    running = serve(folder, "mlflow", command, variables)
    try:
        running.wait(lambda: answers(f"{url}/health"))
        yield url, running
    finally:
        running.stop()


def test_a_shared_server_with_postgresql_s3_and_authentication(
    measured: Path, mlflow_server: tuple[str, Server], monkeypatch: pytest.MonkeyPatch, s3: dict[str, str]
) -> None:
    """Registered, promoted and verified over HTTP; whoever does not say who he is, or may only read, moves nothing."""
    url, running = mlflow_server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN[1])
    version = register(easy_params(), "momask", "lcr")
    assert register(easy_params(), "momask", "lcr").number == version.number == 1
    assert not (measured / "runs" / "side" / "mlflow" / "mlflow.db").exists()
    registry = open_registry(measured, NAME)
    assert registry.aliases() == {"candidate": 1}

    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    refused(measured, "not authenticated")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a guess")
    refused(measured, "not authenticated")

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN[1])
    proposal = promote.propose(registry)
    make_reader(registry, url)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", READER[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", READER[1])
    assert open_registry(measured, NAME).aliases() == {"candidate": 1}
    with pytest.raises(HmuError, match=r"(?i)permission denied"):
        promote.promote(open_registry(measured, NAME), proposal, who="reader", why="I want to")

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN[1])
    assert registry.aliases() == {"candidate": 1}
    assert registry.moves() == []
    promote.promote(registry, promote.propose(registry), who=promote.user(), why="checked")
    assert registry.aliases() == {"champion": 1}
    assert registry.moves()[0].who == "admin"
    found = promote.verify(registry, registry.version(1), _made(measured / "again"))
    assert found.faults == ()
    assert resident_megabytes(running) < 1200
    tamper(registry, s3)
    found = promote.verify(registry, registry.version(1), _made(measured / "tampered"))
    assert "evidence/card.md is not the file that was registered" in found.faults


def refused(world: Path, words: str) -> None:
    """Registering, promoting and even looking need a user who is known."""
    for action in (
        lambda: promote.propose(open_registry(world, NAME)),
        lambda: register(easy_params(), "momask", "lcr"),
        lambda: promote.rollback(open_registry(world, NAME), who="nobody", why="because"),
    ):
        with pytest.raises(HmuError, match=words) as caught:
            action()
        assert "run.track" in str(caught.value)


def make_reader(registry: Registry, url: str) -> None:
    """A user who may look at everything here and change nothing."""

    def post(path: str, **values: str) -> None:
        login = base64.b64encode(":".join(ADMIN).encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
        body = json.dumps(values | {"username": READER[0]}).encode()
        request = urllib.request.Request(f"{url}/api/{path}", data=body, headers=headers)  # noqa: S310
        urllib.request.urlopen(request, timeout=60).close()  # noqa: S310

    post("2.0/mlflow/users/create", password=READER[1])
    resources = [("registered_model", NAME)]
    resources += [("experiment", one.experiment_id) for one in registry.client.search_experiments()]
    for kind, name in resources:
        values = {"resource_type": kind, "resource_id": name, "permission": "READ"}
        post("3.0/mlflow/users/permissions/grant", **values)


def tamper(registry: Registry, s3: dict[str, str]) -> None:
    """Somebody with access to the bucket changes a file behind the server's back."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3["MLFLOW_S3_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
        region_name="us-east-1",
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    names = [item["Key"] for page in pages for item in page["Contents"]]
    run = registry.version(1).run_id
    (card,) = [name for name in names if run in name and name.endswith("evidence/card.md")]
    client.put_object(Bucket=BUCKET, Key=card, Body=b"# everything is fine\n")


def resident_megabytes(server: Server) -> float:
    import psutil

    root = psutil.Process(server.process.pid)
    return float(sum(one.memory_info().rss for one in (root, *root.children(recursive=True)))) / 2**20


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_postgresql_without_a_server(
    postgres: str, measured: Path, monkeypatch: pytest.MonkeyPatch, s3: dict[str, str]
) -> None:
    """Variables alone: the database for the records, a bucket for the files."""
    name = "direct"
    subprocess.run(
        [program("psql"), postgres.replace("+psycopg2", ""), "-c", f"CREATE DATABASE {name}"],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.replace("/postgres", f"/{name}"))
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", f"s3://{BUCKET}/direct")
    for variable, value in s3.items():
        monkeypatch.setenv(variable, value)
    assert register(easy_params(), "momask", "lcr").number == 1
    registry = open_registry(measured, NAME)
    assert registry.client.get_run(registry.version(1).run_id).info.artifact_uri.startswith(
        f"s3://{BUCKET}/direct"
    )
    promote.promote(registry, promote.propose(registry), who="ann", why="checked")
    assert registry.aliases() == {"champion": 1}
    assert not (measured / "runs" / "side" / "mlflow" / "mlflow.db").exists()
