"""The served model over REST."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from served import ROWS, model, packed

__all__ = ["model", "packed"]
# MLflow 3.17 warns about its own type hints when its models are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")


@pytest.fixture(scope="module")
def server(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `mlflow models serve`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(packed), "--env-manager", "local"]
    command += ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 180
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/ping", timeout=5).close()  # noqa: S310
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.3)
        yield url
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def post(url: str, body: Any, kind: str = "application/json") -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/invocations", data=data, headers={"Content-Type": kind})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.slow
def test_over_rest(server: str, packed: Path, model: Any) -> None:
    """Good and bad requests to one server; after all of the bad ones it still answers."""
    wanted = model.predict(pd.DataFrame(ROWS))
    table = {"columns": list(ROWS), "data": [list(row) for row in zip(*ROWS.values(), strict=True)]}
    status, answer = post(server, {"dataframe_split": table})
    assert status == 200
    for got, joints in zip(answer["predictions"], wanted, strict=True):
        np.testing.assert_allclose(np.array(got), joints, atol=1e-5)
    status, answer = post(server, {"dataframe_split": table, "params": {"output": "bvh"}})
    assert status == 200
    assert all(text.startswith("HIERARCHY\n") for text in answer["predictions"])
    example = json.loads((packed / "serving_input_example.json").read_text(encoding="utf-8"))
    assert post(server, example)[0] == 200
    many = {"columns": list(ROWS), "data": table["data"] * 5000}
    bad = [
        ({"dataframe_split": table, "params": {"otput": "bvh"}}, "unknown parameter 'otput'"),
        ({"dataframe_split": table, "params": {"output": "mp4"}}, "choose one of joints"),
        ({"dataframe_split": table | {"columns": ["prompt", "second", "seed"]}}, "unknown column 'second'"),
        ({"dataframe_records": [{"prompt": "", "seconds": 2, "seed": 0}]}, "the prompt is empty"),
        ({"dataframe_records": [{"prompt": {"a": 1}, "seconds": 2, "seed": 0}]}, "row 0"),
        ({"dataframe_split": many}, "10000 prompts were given"),
        ({"rows": []}, ""),
        ([], ""),
        (b"{", ""),
    ]
    for body, words in bad:
        status, answer = post(server, body)
        assert status == 400, body
        assert words in answer, answer
    assert post(server, b"a,b", "text/html")[0] == 415
    status, answer = post(server, {"dataframe_split": table})
    assert status == 200
