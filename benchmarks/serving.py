"""How a served version answers under load: throughput, waiting times, and whether memory grows.

    python benchmarks/serving.py models:/hmu-momask-synthetic-violence@champion --requests 1000 --clients 1 2 4 8

Starts `mlflow models serve` on 127.0.0.1 (one worker) and ends it. Every request asks for one motion of four seconds.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

PROMPTS = ("a person walks forward", "someone kicks with the left leg", "a man waves", "she sits down slowly")


def body(number: int) -> bytes:
    """Write the request with this number as JSON."""
    row = [PROMPTS[number % len(PROMPTS)], 4.0, number]
    table = {"columns": ["prompt", "seconds", "seed"], "data": [row]}
    return json.dumps({"dataframe_split": table}).encode()


def ask(url: str, number: int) -> float:
    """Seconds that one request took; raises where it was refused."""
    started = time.perf_counter()
    request = urllib.request.Request(  # noqa: S310
        f"{url}/invocations", data=body(number), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
        frames = len(json.load(answer)["predictions"][0])
    assert frames == 80, frames
    return time.perf_counter() - started


def start(model: str, port: int) -> subprocess.Popen[bytes]:
    """Start the server in a process group of its own."""
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    command += ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    return subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def memory(process: subprocess.Popen[bytes]) -> float:
    """MB of the server with all its processes."""
    root = psutil.Process(process.pid)
    return sum(one.memory_info().rss for one in (root, *root.children(recursive=True))) / 2**20


def main() -> None:
    """Measure and print one line per number of clients."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="address of a version, or the folder of a packed one")
    parser.add_argument("--requests", type=int, default=1000, help="per number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8])
    given = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    process = start(given.model, port)
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/ping", timeout=5).close()  # noqa: S310
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.2)
        print(f"ready after {time.perf_counter() - began:.1f} s")
        for number in range(20):
            ask(url, number)
        print("clients  requests/s   p50 ms   p95 ms   p99 ms   MB before   MB after")
        for clients in given.clients:
            before, started = memory(process), time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                took = 1000 * np.array(list(pool.map(lambda n: ask(url, n), range(given.requests))))
            rate = given.requests / (time.perf_counter() - started)
            p50, p95, p99 = np.percentile(took, [50, 95, 99])
            print(
                f"{clients:7d} {rate:11.1f} {p50:8.0f} {p95:8.0f} {p99:8.0f} {before:11.0f} {memory(process):10.0f}"
            )
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


if __name__ == "__main__":
    main()
