"""Speed-up of the methods matrix by running two stages in parallel: slots of one flow, or workers with own checkouts.

`python benchmarks/parallel_workers.py [WORKSPACE]` copies a trained project (default: this folder; `--smoke` first
trains one at toy size, in a few minutes) and times the unlearn and evaluate cells of all its models and methods
(override with `--methods`): sequentially by DVC with one thread and with one per core, by the flow with one and two
slots, and by the flow with one and two workers of the pool gpu, each on a clone, with a folder as DVC remote. Every
run does the same work: outputs, lock entries, cached codes and DVC's run caches of these cells are removed before it.
Prints medians over the repeats; run it on an idle machine.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flow_overhead import DVC, FLOW, environment, seconds_of, server
from ruamel.yaml import YAML

CELLS = ("unlearn", "evaluate")
LEFT_OUT = (".git", ".venv", "side", "reports", "cache", "tmp", "__pycache__", ".mypy_cache", ".ruff_cache")
CORES = len(os.sched_getaffinity(0))


def call(*command: str, root: Path) -> None:
    """Run a command that must succeed."""
    seconds_of(list(command), root, environment(root.parent / "home"))


def load(path: Path) -> Any:
    """Read a YAML file."""
    return YAML().load(path.read_text(encoding="utf-8"))


def save(path: Path, values: Any) -> None:
    """Write a YAML file."""
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(values, file)


def copy(workspace: Path, root: Path, *, smoke: bool, methods: str | None) -> Path:
    """Copy a project with its results and commit it; runs whatever the cells need and is out of date."""
    shutil.copytree(workspace, root, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    if smoke:
        for name in ("data/clips", "data/split", "runs"):
            shutil.rmtree(root / name, ignore_errors=True)
        (root / "dvc.lock").unlink(missing_ok=True)
        call(sys.executable, "-m", "hmu_tasks", "preset", "smoke", root=root)
    if methods:
        values = load(root / "params.yaml")
        values["run"]["methods"] = methods.split(",")
        save(root / "params.yaml", values)
    call("git", "init", "-q", "-b", "main", root=root)
    call("git", "config", "user.name", "benchmark", root=root)
    call("git", "config", "user.email", "benchmark@localhost", root=root)
    remote = root.parent / "remote"
    call(*DVC, "remote", "add", "-q", "--force", "--default", "shared", str(remote), root=root)
    if not smoke:
        # A cache has the layout of a remote. Fetch the results from it; without them DVC would run everything again.
        cache = workspace.resolve() / ".dvc" / "cache"
        call(*DVC, "remote", "add", "-q", "--local", "original", str(cache), root=root)
        call(*DVC, "fetch", "-q", "--remote", "original", root=root)
    call(*FLOW, *CELLS, "--workers", str(CORES), root=root)
    call("git", "add", "--all", root=root)
    call("git", "commit", "-q", "-m", "benchmark", root=root)
    return root


def cells(root: Path) -> dict[str, list[str]]:
    """Names and outputs of the timed cells."""
    entries = load(root / "dvc.lock")["stages"]
    return {
        name: [out["path"] for out in entry["outs"]]
        for name, entry in entries.items()
        if name.partition("@")[0] in CELLS
    }


def forget(root: Path, outputs: dict[str, list[str]], *others: Path) -> None:
    """Remove the cells' results; `others` are further DVC caches whose run cache is cleared."""
    lock = load(root / "dvc.lock")
    for name, places in outputs.items():
        lock["stages"].pop(name, None)
        for place in places:
            shutil.rmtree(root / place, ignore_errors=True)
    save(root / "dvc.lock", lock)
    shutil.rmtree(root / "runs" / "side" / "cache", ignore_errors=True)
    for place in (root / ".dvc" / "cache", *others):
        shutil.rmtree(place / "runs", ignore_errors=True)


@contextmanager
def worker(clone: Path, root: Path, variables: dict[str, str]) -> Iterator[None]:
    """Run a worker of the pool gpu, limited to one run, on a clone of the project."""
    call("git", "clone", "-q", str(root), str(clone), root=root)
    with clone.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server.operate", "worker", "--pool", "gpu", "--limit", "1"],
            cwd=clone,
            env=variables,
            stdout=log,
            stderr=log,
        )
    try:
        time.sleep(10)
        yield
    finally:
        while process.poll() is None:  # a worker that is shutting down may miss the first signal
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 10
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path, nargs="?", default=Path())
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--methods")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hmu-workers-") as name:
        folder = Path(name)
        root = copy(given.workspace, folder / "project", smoke=given.smoke, methods=given.methods)
        outputs = cells(root)
        remote = folder / "remote"
        call(*DVC, "push", "-q", root=root)
        print(f"{len(outputs)} cells ({', '.join(outputs)}), {CORES} cores, median of {given.repeats}")
        print(f"{'':34}{'seconds':>8}{'speed-up':>10}")
        base: list[float] = []

        def row(label: str, command: list[str], variables: dict[str, str], *caches: Path) -> None:
            def once() -> float:
                forget(root, outputs, remote, *caches)
                return seconds_of(command, root, variables)

            taken = statistics.median(once() for _ in range(given.repeats))
            base.append(taken)
            print(f"{label:34}{taken:8.1f}{base[0] / taken:10.2f}", flush=True)

        plain = [*DVC, "repro", "-q", "--single-item", *outputs]
        row("dvc repro, 1 thread", plain, environment(folder / "home"))
        if CORES > 1:
            row(f"dvc repro, {CORES} threads", plain, environment(folder / "home", HMU_THREADS=str(CORES)))
        with server(folder / "server") as url:
            variables = environment(folder / "home", PREFECT_API_URL=url, PREFECT_WORKER_QUERY_SECONDS="2")
            for slots in (1, 2):
                row(
                    f"flow, {slots} slot{'s' * (slots > 1)}",
                    [*FLOW, *CELLS, "--workers", str(slots)],
                    variables,
                )
            subprocess.run(
                [sys.executable, "-m", "flows.server.operate", "deploy"],
                cwd=root,
                env=variables,
                check=True,
                capture_output=True,
            )
            spread = [*FLOW, *CELLS, "--workers", "1", "--placement", "gpu-pool"]
            clones = [folder / "clone-1", folder / "clone-2"]
            caches = [clone / ".dvc" / "cache" for clone in clones]
            with worker(clones[0], root, variables):
                seconds_of(spread, root, variables)  # the worker pulls its inputs
                row("flow, 1 worker", spread, variables, *caches)
                with worker(clones[1], root, variables):
                    shutil.copytree(caches[0], caches[1])
                    row("flow, 2 workers", spread, variables, *caches)


if __name__ == "__main__":
    main()
