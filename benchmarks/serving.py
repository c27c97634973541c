"""Load test of `serve`: requests served and failed, latency and memory, with malformed requests and slow clients.

    python benchmarks/serving.py models:/hmu-momask-synthetic-violence/1

Serves the version of this checkout's store on 127.0.0.1. Of each line's requests every fifth is malformed, in eight
ways by turns; the others ask for one motion of four seconds. Meanwhile slow clients connect and send a byte per
second, in the headers or in the body. A tenth of the motions are compared with what the server gave for the row alone.
Prints the machine, its load before the test, and a table, from which those of docs/serving.md and docs/security.md
are taken; run it on idle cores.
"""

import argparse
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import psutil

PROMPTS = ("a person walks forward", "someone kicks with the left leg", "a man waves", "she sits down slowly")
SEEDS = 50  # rows repeat, so that answers can be compared
JSON = {"Content-Type": "application/json"}
MALFORMED: list[tuple[bytes, dict[str, str]]] = [
    (b'{"inputs": [', JSON),
    (b"\xff\xfe\x00", JSON),
    (b"[" * 100_000, JSON),
    (b'{"inputs": [{"prompt": "a", "seed": ' + b"9" * 5000 + b"}]}", JSON),
    (b'{"inputs": [{"prompt": "a", "seed": 1.5}]}', JSON),
    (b'{"inputs": [{"prompt": {"a": 1}, "seed": 1}]}', JSON),
    (b'{"inputs": [{"prompt": "a man waves", "seed": 1}]}', {}),
    (b'{"inputs": ["' + b"a" * (2 << 20) + b'"]}', JSON),
]
SLOW_SECONDS = 30.0  # the server gives 10 s for headers and 20 s for a body; longer is held


@dataclass
class Line:
    """What came of the requests of one line: counts by kind, seconds of what was served, and when all had ended."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    ended: float = 0.0


def body(number: int) -> bytes:
    """JSON body of the well-formed request with this number."""
    number %= SEEDS
    row = [PROMPTS[number % len(PROMPTS)], 4.0, number]
    table = {"columns": ["prompt", "seconds", "seed"], "data": [row]}
    return json.dumps({"dataframe_split": table}).encode()


def post(port: int, data: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and content of one request; status 0 where there was no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", "/invocations", data, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def ask(port: int, number: int, alone: dict[int, bytes], line: Line) -> None:
    """One request: malformed or not by its number."""
    if number % 5 == 4:
        data, headers = MALFORMED[number // 5 % len(MALFORMED)]
        status, _ = post(port, data, headers)
        # A body that is too large may be answered while it is still being sent, and the connection closed.
        told = 400 <= status < 500 or (status == 0 and len(data) > 1 << 20)
        line.counts["refused" if told else "malformed, not told"] += 1
        return
    started = time.perf_counter()
    status, content = post(port, body(number), JSON)
    took = time.perf_counter() - started
    line.counts["served" if status == 200 else "failed"] += 1
    if status != 200:
        return
    line.seconds.append(took)
    known = alone.get(number % SEEDS)
    if known is not None and known != content:
        line.counts["another motion"] += 1


def slow(port: int, part: bytes, stop: threading.Event, counts: Counter[str]) -> None:
    """Connect, send some of a request and then a byte per second, again and again; count how it ends."""
    while not stop.is_set():
        counts["slow"] += 1
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.settimeout(1.0)
            try:
                connection.sendall(part)
                while time.monotonic() - began < SLOW_SECONDS:
                    try:
                        connection.recv(1)  # an answer or an end: the server waits no longer
                    except TimeoutError:
                        connection.sendall(b"a")
                        continue
                    break
                else:
                    counts["held"] += 1
                    continue
            except OSError:
                pass
            counts["cut off"] += 1


SLOW = (
    b"POST /invocations HTTP/1.1\r\nHost: a\r\nX-Long: ",
    b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{",
)


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of the server and its children in MiB."""
    root = psutil.Process(process.pid)
    return sum(one.memory_info().rss for one in (root, *root.children(recursive=True))) / 2**20


def measure(port: int, clients: int, requests: int, alone: dict[int, bytes], slow_clients: int) -> Line:
    """Send all requests of one line."""
    line, stop = Line(), threading.Event()
    parts = itertools.islice(itertools.cycle(SLOW), slow_clients)
    threads = [threading.Thread(target=slow, args=(port, part, stop, line.counts)) for part in parts]
    for thread in threads:
        thread.start()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda number: ask(port, number, alone, line), range(requests)))
    line.ended = time.perf_counter()
    stop.set()
    for thread in threads:
        thread.join()
    return line


def start(model: str, port: int) -> tuple[subprocess.Popen[bytes], float]:
    """Start the server; returns it with the seconds until it answers."""
    command = [sys.executable, "-m", "hmu_tasks", "serve", model, "--port", str(port), "--device", "cpu"]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ping")
            assert connection.getresponse().status == 200
            return process, time.perf_counter() - began
        except OSError:
            assert process.poll() is None, "the server ended"
            time.sleep(0.2)


def main() -> None:
    """Measure and print one line per number of clients."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="address of a version")
    parser.add_argument("--requests", type=int, default=1000, help="per number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--slow", type=int, default=8, help="slow clients beside them")
    given = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cores, threads = len(os.sched_getaffinity(0)), os.environ.get("OMP_NUM_THREADS", "as many as cores")
    print(f"{cores} core(s), threads: {threads}, {psutil.cpu_percent(2):.0f} % of the machine busy before")
    process, ready = start(given.model, port)
    try:
        alone = {number: post(port, body(number), JSON)[1] for number in range(0, SEEDS, 10)}
        assert all(alone.values())
        print(f"ready after {ready:.1f} s; {len(alone[0])} bytes of JSON per motion")
        head = [
            "clients at once",
            "well-formed",
            "served",
            "failed",
            "malformed",
            "refused",
            "slow",
            "cut off",
            "held",
        ]
        head += ["served/s", "p50", "p95", "p99", "memory before", "after"]
        print(f"| {' | '.join(head)} |\n|{'---:|' * len(head)}")
        others = 0
        for clients in given.clients:
            before, began = memory(process), time.perf_counter()
            line = measure(port, clients, given.requests, alone, given.slow)
            count = line.counts
            bad = count["refused"] + count["malformed, not told"]
            cells: list[object] = [clients, given.requests - bad, count["served"], count["failed"]]
            cells += [bad, count["refused"], count["slow"], count["cut off"], count["held"]]
            cells += [f"{len(line.seconds) / (line.ended - began):.1f}"]
            cells += [f"{value:.0f} ms" for value in 1000 * np.percentile(line.seconds, [50, 95, 99])]
            cells += [f"{value:.0f} MB" for value in (before, memory(process))]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            others += count["another motion"]
        print(f"motions that were not those of the same row alone: {others}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


if __name__ == "__main__":
    main()
