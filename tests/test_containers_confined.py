"""What a container may do: no capability, no file of its image, bounded memory, its own account and database role."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_containers import COMPOSE, SERVICES

POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def merged(name: str) -> dict[str, Any]:
    return SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = merged(name)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert re.search(r"\d+g", str(service["mem_limit"]))
    assert "cap_add" not in service


def test_workers_see_neither_the_passwords_of_others_nor_the_file_that_holds_them() -> None:
    for name in ("worker-cpu", "worker-gpu"):
        service = merged(name)
        assert "/dev/null:/workspace/.env:ro" in service["volumes"]
        assert "env_file" not in service
        values = " ".join(map(str, service["environment"].values()))
        asked = set(re.findall(r"\$\{(\w+)", values))
        assert asked == {"PREFECT_AUTH", "MLFLOW_WORKER_PASSWORD"}
        assert service["environment"]["MLFLOW_TRACKING_USERNAME"] == "worker"
    assert merged("champion")["environment"]["MLFLOW_TRACKING_USERNAME"] == "reader"


def test_each_server_has_a_role_of_its_own() -> None:
    addresses = {
        name: next(value for value in SERVICES[name]["environment"].values() if "@postgres" in str(value))
        for name in ("prefect", "mlflow")
    }
    for name, address in addresses.items():
        assert f"://{name}:${{{name.upper()}_DATABASE_PASSWORD" in address
        assert address.endswith(f"/{name}")
    holders = [name for name, s in SERVICES.items() if "${POSTGRES_PASSWORD" in str(s.get("environment"))]
    assert holders == ["postgres"]


@pytest.mark.slow
@pytest.mark.skipif(POSTGRES is None, reason="PostgreSQL is not installed (apt-get install postgresql)")
def test_a_role_reaches_its_own_database_only(tmp_path: Path) -> None:
    """The script that compose hands to PostgreSQL's image, run against a real server."""
    assert POSTGRES is not None
    script = COMPOSE["configs"]["databases"]["content"].replace("$$", "$")
    as_user = (
        ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        if os.getuid() == 0
        else []
    )
    if as_user:
        shutil.chown(tmp_path, "postgres")
        for parent in tmp_path.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
    environment = {
        "PATH": f"{POSTGRES}:{os.environ['PATH']}",
        "PGHOST": str(tmp_path),
        "POSTGRES_USER": "hmu",
    }
    environment |= {
        "PREFECT_DATABASE_PASSWORD": "pre'fect\\1",
        "MLFLOW_DATABASE_PASSWORD": "ml-flow2",
        "PGDATABASE": "postgres",
    }

    def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*as_user, *command],
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )

    (tmp_path / "password").write_text("master1")
    (tmp_path / "password").chmod(0o644)
    data = str(tmp_path / "data")
    made = run(
        "initdb",
        "--pgdata",
        data,
        "--username",
        "hmu",
        "--auth",
        "scram-sha-256",
        "--pwfile",
        str(tmp_path / "password"),
    )
    assert made.returncode == 0, made.stderr
    started = run(
        "pg_ctl",
        "--pgdata",
        data,
        "--wait",
        "--log",
        str(tmp_path / "log"),
        "-o",
        f"-k {tmp_path} -c listen_addresses=''",
        "start",
    )
    assert started.returncode == 0, started.stderr
    try:
        done = run("bash", "-c", script, PGPASSWORD="master1")
        assert done.returncode == 0, done.stderr
        for role, password in (("prefect", "pre'fect\\1"), ("mlflow", "ml-flow2")):
            for database in ("prefect", "mlflow"):
                query = run(
                    "psql",
                    "--username",
                    role,
                    "--dbname",
                    database,
                    "--command",
                    "CREATE TABLE t (a int)",
                    PGPASSWORD=password,
                )
                assert (query.returncode == 0) == (role == database), query.stderr
    finally:
        run("pg_ctl", "--pgdata", data, "--mode", "fast", "stop")
