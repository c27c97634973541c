"""Load test of a served version: throughput, latency, and memory growth.

    python benchmarks/serving.py models:/hmu-momask-synthetic-violence/1

Runs `mlflow models serve` on 127.0.0.1 (one worker). Every request is for one motion of four seconds. The model is
looked up in this checkout's store unless MLFLOW_TRACKING_URI is set, and may also be the folder of a packed model.
Prints the machine, its load before the test, and the table of docs/serving.md; run it on idle cores.
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

from hmu_tasks.tracking.store import tracking_uri

PROMPTS = ("a person walks forward", "someone kicks with the left leg", "a man waves", "she sits down slowly")


def body(number: int) -> bytes:
    """JSON body of the request with this number."""
    row = [PROMPTS[number % len(PROMPTS)], 4.0, number]
    table = {"columns": ["prompt", "seconds", "seed"], "data": [row]}
    return json.dumps({"dataframe_split": table}).encode()


def response_to(url: str, number: int) -> bytes:
    """Response to one request; raises if it was refused."""
    request = urllib.request.Request(  # noqa: S310
        f"{url}/invocations", data=body(number), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as response:  # noqa: S310
        content: bytes = response.read()
    return content


def ask(url: str, number: int) -> float:
    """Seconds taken by one request; raises if it was refused."""
    started = time.perf_counter()
    motions = json.loads(response_to(url, number))["predictions"]
    assert len(motions) == 1, len(motions)
    return time.perf_counter() - started


def start(model: str, port: int) -> subprocess.Popen[bytes]:
    """Start the server in its own process group."""
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    command += ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    env["MLFLOW_TRACKING_URI"] = tracking_uri(Path())
    return subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of the server and its children in MiB."""
    root = psutil.Process(process.pid)
    return sum(one.memory_info().rss for one in (root, *root.children(recursive=True))) / 2**20


def main() -> None:
    """Measure and print one line per number of clients."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="URI of a version, or the folder of a packed model")
    parser.add_argument("--requests", type=int, default=1000, help="per number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8])
    given = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    cores, threads = len(os.sched_getaffinity(0)), os.environ.get("OMP_NUM_THREADS", "as many as cores")
    print(f"{cores} core(s), threads: {threads}, {psutil.cpu_percent(2):.0f} % of the machine busy before")
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
        first = response_to(url, 0)
        print(
            f"{given.requests} requests per line, one motion of four seconds each, {len(first)} bytes of JSON"
        )
        print("| clients at once | requests/s | p50 | p95 | p99 | memory before | after |")
        print("|---:|---:|---:|---:|---:|---:|---:|")
        for clients in given.clients:
            before, started = memory(process), time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                took = 1000 * np.array(list(pool.map(lambda n: ask(url, n), range(given.requests))))
            rate = given.requests / (time.perf_counter() - started)
            p50, p95, p99 = np.percentile(took, [50, 95, 99])
            print(
                f"| {clients} | {rate:.1f} | {p50:.0f} ms | {p95:.0f} ms | {p99:.0f} ms | {before:.0f} MB | "
                f"{memory(process):.0f} MB |",
                flush=True,
            )
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


if __name__ == "__main__":
    main()
