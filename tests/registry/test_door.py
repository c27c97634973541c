"""The server of a verified copy: every wrong request is told in one sentence, and no client holds it up."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from registered_world import selected

from hmu_tasks.registry import door
from hmu_tasks.runtime import paths

# MLflow 3.17 warns about its own type hints when its models are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")
ROW = {"prompt": "a person walks", "seconds": 2.0, "seed": 0}
JSON = "application/json"


def split(*rows: list[Any], **more: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": ["prompt", "seconds", "seed"], "data": list(rows), **more}}


WALK = ["a person walks", 2.0, 0]
MALFORMED: list[tuple[Any, str]] = [
    (b"", "the body is not JSON"),
    (b"{", "the body is not JSON"),
    (b"\xff\xfe", "the body is not UTF-8"),
    (b"[" * 100_000, "nested too deep"),
    (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested too deep"),
    (b'{"inputs": [{"prompt": "a", "seed": ' + b"9" * 5000 + b"}]}", "thousands of digits"),
    (b'{"inputs": [{"prompt": "a", "seed": NaN}]}', "NaN is no JSON"),
    (b'{"inputs": [{"prompt": "a", "seed": 1, "seed": 2}]}', "an entry is given twice"),
    ([], "the body must be a JSON object"),
    ({}, "give one of dataframe_split, dataframe_records, inputs, and not 0"),
    ({"rows": []}, "unknown entry 'rows'"),
    ({"inputs": [ROW], **split(WALK)}, "and not 2 of them"),
    ({"inputs": [ROW], "params": []}, "params must be an object"),
    ({"inputs": [ROW], "params": {"output": 1}}, "the parameter 'output' must be text"),
    ({"inputs": "a person walks"}, "inputs must be a list of rows"),
    ({"dataframe_records": ROW}, "dataframe_records must be a list of rows"),
    ({"dataframe_records": [ROW, 3]}, "dataframe_records must be a list of rows"),
    ({"inputs": [ROW | {"seed": 1.5}]}, "row 0: the seed must be a whole number"),
    ({"inputs": [ROW | {"seed": 4.0}]}, "row 0: the seed must be a whole number"),
    ({"inputs": [ROW | {"seed": "4"}]}, "row 0: the seed must be a whole number"),
    ({"inputs": [ROW | {"seed": True}]}, "row 0: the seed must be a whole number"),
    ({"inputs": [ROW, ROW | {"seed": None}]}, "row 1: the seed must be a whole number"),
    ({"inputs": [ROW | {"prompt": {"a": "walk"}}]}, "row 0: the prompt must be text"),
    ({"inputs": [ROW | {"prompt": ["walk"]}]}, "row 0: the prompt must be text"),
    ({"inputs": [ROW | {"prompt": 3}]}, "row 0: the prompt must be text"),
    ({"inputs": [ROW | {"seconds": "2"}]}, "row 0: seconds must be a number, or null"),
    ({"inputs": [ROW | {"seconds": True}]}, "row 0: seconds must be a number, or null"),
    ({"inputs": [ROW | {"speed": 1}]}, "unknown column 'speed'"),
    ({"inputs": [{"prompt": "a"}]}, "row 0: seed is missing"),
    ({"inputs": {"prompt": ["a", "b"], "seed": [1]}}, "lists of one length"),
    ({"inputs": {"prompt": ["a"], "seed": 1}}, "lists of one length"),
    (split(WALK, index=[0, 1]), "index must be a list of 1 entries"),
    (split(WALK, index="a"), "index must be a list of 1 entries"),
    (split(WALK, more=1), "dataframe_split must be an object of columns and data"),
    (split(WALK[:2]), "data must be a list of rows of 3 values"),
    (split(["a", 2, 1, 1]), "data must be a list of rows of 3 values"),
    ({"dataframe_split": {"columns": ["seed", "seed"], "data": [[1, 2]]}}, "a column is named twice"),
    ({"dataframe_split": {"columns": "seed", "data": []}}, "columns must be a list of names"),
]


@pytest.mark.parametrize(("body", "words"), MALFORMED, ids=[one[1][:30] for one in MALFORMED])
def test_what_is_malformed_is_told(body: Any, words: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(door.RefusedError) as caught:
        door.parse(data, JSON)
    assert words in str(caught.value)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "kind", [None, "", "text/html", "text/csv", "application/json; charset=latin-1", "json"]
)
def test_the_type_must_be_said(kind: str | None) -> None:
    with pytest.raises(door.RefusedError, match="send the header Content-Type: application/json"):
        door.parse(json.dumps(split(WALK)).encode(), kind)


def test_what_is_well_formed_arrives_unchanged() -> None:
    large = ["a", None, 2**63 - 1]
    for body in (
        split(WALK, large, index=[5, "b"]),
        {"dataframe_records": [ROW, {"prompt": "a", "seconds": None, "seed": 2**63 - 1}]},
        {"inputs": {"prompt": ["a person walks", "a"], "seconds": [2.0, None], "seed": [0, 2**63 - 1]}},
    ):
        asked = door.parse(json.dumps(body).encode(), "Application/JSON; charset=UTF-8")
        assert [[row[name] for name in door.COLUMNS] for row in asked.rows] == [WALK, large]
    assert door.parse(
        json.dumps({"inputs": ROW, "params": {"output": "bvh"}}).encode(), JSON
    ) == door.AskedRows([ROW], {"output": "bvh"})


class Running:
    """A server of a packed model, in a process of its own."""

    def __init__(self, copy: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.copy, self.log = copy, copy.with_suffix(".log")
        script = "import sys; sys.argv.pop(0); import runpy; from pathlib import Path; door = sys.argv[0]\n"
        script += "found = runpy.run_path(door)\n"
        script += "found['main'].__globals__.update(HEADER_SECONDS=1.0, BODY_SECONDS=1.0)\nfound['main'](sys.argv[1:])"
        line = [
            sys.executable,
            "-P",
            "-c",
            script,
            str(door.__file__),
            "--copy",
            str(copy),
            "--port",
            str(self.port),
        ]
        line += ["--device", "cpu", "--about", '{"version": 3}', *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(line, cwd=copy.parent, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while True:
            try:
                assert self.ask("GET", "/ping")[0] == 200
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def post(self, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/invocations", data, **{"Content-Type": JSON})

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def copy(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hmu_tasks.registry.packing import Clock, pack

    sampling = {"steps": 2, "cfg": 4.0, "residual_cfg": 5.0, "temperature": 1.0, "top_k": 0.9}
    target = tmp_path_factory.mktemp("copy")
    bundle = finished / paths.edits("momask", "lcr") / selected(finished)
    pack(bundle, sampling, Clock(20.0, 40, 196), target / "model")
    return target


@pytest.fixture(scope="module")
def server(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("served") / "copy"
    shutil.copytree(copy, place)
    running = Running(place, "--refuse", "violence", "lemma", "synthetic", "")
    yield running
    running.stop()


@pytest.mark.slow
def test_good_and_bad_requests(server: Running) -> None:
    status, answer = server.post(split(WALK))
    assert status == 200, server.log.read_text()
    assert len(answer["predictions"][0]) == 40
    for body, words in MALFORMED:
        status, answer = server.post(body)
        assert (status, words in answer["error"]) == (400, True), (words, status, answer)
    for row, words in (
        (["человек идёт", 2.0, 0], "row 0: the text encoder reads English letters"),
        (["walk", 2.0, -1], "row 0: seed is -1"),
        (["walk", 2.0, 2**63], "give a whole number from 0"),
        (["walk", 60, 1], "row 0: seconds is 60; motions last 2 to 9.8 s"),
        (["walk", 10**400, 1], "row 0: seconds is"),
        (["", 2, 1], "row 0: the prompt is empty"),
    ):
        status, answer = server.post(split(row))
        assert (status, words in answer["error"]) == (400, True), (words, status, answer)
    assert server.post({"inputs": [ROW], "params": {"otput": "bvh"}})[0] == 400
    assert server.post(split(*[WALK] * 65))[0] == 400
    assert server.ask("POST", "/invocations", json.dumps(split(WALK)).encode())[0] == 400  # no type
    assert server.ask("GET", "/invocations")[0] == 405
    assert server.ask("GET", "/docs")[0] == 404
    assert server.ask("GET", "/version") == (200, {"version": 3})


@pytest.mark.slow
def test_all_bits_of_a_seed_count(server: Running) -> None:
    seeds = [0, 2**32, 2**53, 2**53 + 1, 2**63 - 1]
    status, answer = server.post(split(*(["a person walks", 2.0, seed] for seed in seeds)))
    assert status == 200
    assert len({json.dumps(motion) for motion in answer["predictions"]}) == len(seeds)


@pytest.mark.slow
def test_a_refused_concept_is_counted(server: Running) -> None:
    for count in (1, 2):
        status, answer = server.post(split(WALK, ["A man kicks", 2.0, 1]))
        assert status == 422
        assert answer["error"].startswith("row 1: the prompt asks for violence (kick")
        assert f"{count} requests so far" in server.log.read_text()
    assert "A man" not in server.log.read_text()


@pytest.mark.slow
def test_slow_and_large_clients_hold_nothing_up(server: Running) -> None:
    """Half a request line, half a body and a body without an end, while others are answered."""
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    sent = [
        b"POST /inv",
        head + b"Content-Length: 100\r\n\r\n{",
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[[[[[",
    ]
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in sent]
    try:
        for client, data in zip(slow, sent, strict=True):
            client.sendall(data)
        start = time.monotonic()
        assert server.post(split(WALK))[0] == 200
        assert time.monotonic() - start < 30
        for client, words in zip(slow, (b"", b"408", b"408"), strict=True):
            client.settimeout(30)
            try:
                found = client.recv(1000)
            except ConnectionResetError:
                found = b""
            assert (words in found) if words else found == b""
    finally:
        for client in slow:
            client.close()
    large = json.dumps(split(["a" * 2**21, 2, 1])).encode()
    assert server.post(large)[0] == 413
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    kept.request("GET", "/ping")
    assert kept.getresponse().read()
    kept.sock.sendall(b"GET /pi")  # the second request's headers do not end
    try:
        rest = kept.sock.recv(100)
    except ConnectionResetError:
        rest = b""
    assert rest == b""
    kept.close()


@pytest.mark.slow
def test_many_at_once_are_answered_or_refused(server: Running) -> None:
    found: list[int] = []

    def ask() -> None:
        found.append(server.post(split(WALK))[0])

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == [200] * 24


@pytest.mark.slow
def test_a_changed_copy_is_not_served_and_none_is_left(copy: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy"
    shutil.copytree(copy, place)
    (place / "model" / "serving.py").write_text("raise SystemExit('foreign code')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", str(door.__file__), "--copy", str(place), "--port", "1"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "serving.py was changed after registration" in done.stderr
    assert "foreign code" not in done.stderr
    assert not place.exists()
