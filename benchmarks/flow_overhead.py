"""Overhead of Prefect over DVC: the same graph of no-op stages run by `dvc repro` and by the flow.

`python benchmarks/flow_overhead.py [--cells 12]` makes a project with one stage before and one after N no-op cells, and
times a full run and a fully cached run, each by DVC alone, by the flow with a running server, and by the flow with a
temporary one. Prints medians over the repeats.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

GRAPH = """
stages:
  first:
    cmd: sh step.sh first
    deps: [step.sh]
    outs: [out/first]
  cell:
    matrix: {{number: [{numbers}]}}
    cmd: sh step.sh cell-${{item.number}}
    deps: [out/first]
    outs: ["out/cell-${{item.number}}"]
    meta: {{resource: gpu}}
  last:
    cmd: sh step.sh last
    deps: [{cells}]
    outs: [out/last]
"""
DVC = [sys.executable, "-m", "dvc"]
FLOW = [sys.executable, "-m", "flows.pipeline"]


def project(root: Path, *, cells: int, seconds: float) -> Path:
    """Make a git and DVC project whose cells sleep for `seconds`."""
    root.mkdir()
    files = {
        "step.sh": f'case $1 in cell-*) sleep {seconds:g};; esac\nmkdir -p out\necho "$1" > "out/$1"\n',
        "dvc.yaml": GRAPH.format(
            numbers=", ".join(map(str, range(cells))),
            cells=", ".join(f"out/cell-{number}" for number in range(cells)),
        ),
        ".gitignore": "/out/\n/runs/\n",
    }
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.name", "benchmark"],
        ["git", "config", "user.email", "benchmark@localhost"],
        [*DVC, "init", "-q"],
        ["git", "add", "--all"],
        ["git", "commit", "-q", "-m", "benchmark"],
    ):
        subprocess.run(command, cwd=root, check=True)
    return root


def forget(root: Path) -> None:
    """Reset the project to before its first run."""
    (root / "dvc.lock").unlink(missing_ok=True)
    for name in ("out", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(root / name, ignore_errors=True)


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment without GPUs and without Prefect or HMU settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "HMU_"))}
    return kept | {"PREFECT_HOME": str(home), "CUDA_VISIBLE_DEVICES": ""} | more


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Run a Prefect server on a free port; yields its API URL."""
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "flows.server.operate", "server", "--port", str(port)]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, env=environment(home), stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert process.poll() is None, (home / "server.log").read_text(encoding="utf-8")
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait()


def seconds_of(command: list[str], root: Path, variables: dict[str, str]) -> float:
    """Time one command."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - start


def median(measure: Callable[[], float], repeats: int) -> float:
    """Median of repeated measurements."""
    return statistics.median(measure() for _ in range(repeats))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hmu-overhead-") as name:
        folder = Path(name)
        root = project(folder / "project", cells=given.cells, seconds=0)
        with server(folder / "server") as url:
            runners = {
                "dvc repro": ([*DVC, "repro", "-q"], environment(folder / "home")),
                "flow, running server": (
                    [*FLOW, "--workers", "1"],
                    environment(folder / "home", PREFECT_API_URL=url),
                ),
                "flow, temporary server": ([*FLOW, "--workers", "1"], environment(folder / "temporary")),
            }
            stages = given.cells + 2
            print(f"{stages} stages, median of {given.repeats}; seconds")
            print(f"{'':24}{'all run':>10}{'per stage':>11}{'all cached':>12}")
            for label, (command, variables) in runners.items():

                def fresh(command: list[str] = command, variables: dict[str, str] = variables) -> float:
                    forget(root)
                    return seconds_of(command, root, variables)

                def again(command: list[str] = command, variables: dict[str, str] = variables) -> float:
                    return seconds_of(command, root, variables)

                fresh()  # the first start creates databases
                full, none = median(fresh, given.repeats), median(again, given.repeats)
                print(f"{label:24}{full:10.1f}{(full - none) / stages:11.2f}{none:12.1f}", flush=True)


if __name__ == "__main__":
    main()
