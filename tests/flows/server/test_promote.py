"""The promotion flow on a real Prefect server and a real MLflow store: a person is asked, and the champion moves."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from registered_world import NAME, add_edit, easy_params, register

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred as AnyType"
    ),
]


@pytest.fixture
def registered(measured: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose store has two versions that passed the gate, the first of them champion."""
    from hmu_tasks.registry import promote
    from hmu_tasks.registry.versions import open_registry

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (measured / ".dvc").mkdir()
    add_edit(measured, "strength003-s0")
    register(easy_params(), "momask", "lcr")
    registry = open_registry(measured, NAME)
    promote.promote(registry, promote.propose(registry), who="ann", why="the first")
    register(easy_params(), "momask", "lcr", "strength003-s0")
    return measured


def api(url: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310
        f"{url}{path}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    for attempt in range(5):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            # The server says so when its database is busy; Prefect's own client tries again, too.
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or attempt == 4:
                raise
            time.sleep(1 + attempt)
    raise AssertionError


def start(root: Path, url: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "flows.promote", *arguments],
        cwd=root,
        env=environment | {"PREFECT_API_URL": url, "PYTHONSAFEPATH": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def wait_for(what: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    deadline = time.monotonic() + 120
    while not (found := what()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return found


def paused(url: str, process: subprocess.Popen[str]) -> str:
    """Identifier of the promotion that waits for an answer."""
    body = {
        "flows": {"name": {"any_": ["promotion"]}},
        "flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}},
    }
    return str(wait_for(lambda: api(url, "/flow_runs/filter", body), process)[0]["id"])


def form(url: str, run: str) -> dict[str, Any] | None:
    """Schema and description of the form, once both are there: Prefect writes them after the run is paused."""
    found = {}
    for part in ("schema", "description"):
        try:
            with urllib.request.urlopen(f"{url}/flow_runs/{run}/input/paused-1-{part}", timeout=30) as text:  # noqa: S310
                found[part] = json.load(text)
        except urllib.error.HTTPError as error:
            error.close()
            return None
    return found


def answer(url: str, run: str, **values: Any) -> None:
    """Press Resume with the form filled in."""
    deadline = time.monotonic() + 60
    while form(url, run) is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert api(url, f"/flow_runs/{run}/resume", {"run_input": values})["status"] == "ACCEPT"


def aliases(root: Path) -> dict[str, int]:
    from hmu_tasks.registry.versions import open_registry

    return open_registry(root, NAME).aliases()


def test_a_person_decides(registered: Path, prefect_api: str) -> None:
    """Declined, approved when it was too late, approved, rolled back: in one store, for making it takes a while."""
    process = start(registered, prefect_api)
    run = paused(prefect_api, process)
    assert aliases(registered) == {"champion": 1, "candidate": 2}
    body = {"flow_runs": {"id": {"any_": [run]}}}
    shown = {one["key"]: one["data"] for one in api(prefect_api, "/artifacts/filter", body)}
    assert shown["model-card"].startswith("# momask without violence (lcr, edit strength003-s0)")
    clauses = {row["clause"]: row["passed"] for row in json.loads(shown["gate"])}
    assert clauses["forgotten forget/violence"] == "yes"
    assert "champion comparable" in clauses
    forms = wait_for(lambda: form(prefect_api, run), process)
    assert set(forms["schema"]["properties"]) == {"approve", "name", "reason"}
    assert "Promote hmu-momask-synthetic-violence version 2?" in forms["description"]
    assert "The champion is version 1." in forms["description"]
    answer(prefect_api, run, approve=False, name="bob", reason="it limps")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "version 2 was declined by bob: it limps" in output
    assert aliases(registered) == {"champion": 1, "candidate": 2}

    first = start(registered, prefect_api)
    run = paused(prefect_api, first)
    second = start(registered, prefect_api, "--no-ask", "--who", "cyd", "--why", "urgent")
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 0, output
    assert aliases(registered) == {"champion": 2, "previous": 1}
    answer(prefect_api, run, approve=True, name="bob", reason="looks good")
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 1
    assert "cyd was first: promote of hmu-momask-synthetic-violence to version 2" in output

    back = start(registered, prefect_api, "--rollback", "--who", "bob", "--why", "complaints")
    output, _ = back.communicate(timeout=120)
    assert back.returncode == 0, output
    assert "is back at version 1" in output
    again = start(registered, prefect_api, "--version", "2")
    answer(prefect_api, paused(prefect_api, again), approve=True, name="bob", reason="was not its fault")
    output, _ = again.communicate(timeout=120)
    assert again.returncode == 0, output
    assert aliases(registered) == {"champion": 2, "previous": 1}


def test_without_a_server_nobody_can_be_asked(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "flows.promote"],
        cwd=tmp_path,
        env=environment | {"PYTHONSAFEPATH": "1", "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "approval needs a Prefect server" in done.stderr
