"""Speed-up of a matrix of stages by two slots of one flow, and by two workers with checkouts of their own.

`python benchmarks/parallel_workers.py [--cells 8 --seconds 20]` makes a project whose cells sleep, as a stand-in for
the methods matrix on GPUs that do not disturb each other, and times `dvc repro`, the flow with one and with two
slots, and the flow with one and with two workers of the pool gpu and a folder as DVC remote.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flow_overhead import DVC, FLOW, environment, forget, project, seconds_of, server


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hmu-workers-") as name:
        folder = Path(name)
        root = project(folder / "project", cells=given.cells, seconds=given.seconds)
        remote = folder / "remote"
        subprocess.run(
            [*DVC, "remote", "add", "-q", "--default", "shared", str(remote)], cwd=root, check=True
        )
        subprocess.run(["git", "commit", "-q", "--all", "-m", "remote"], cwd=root, check=True)
        print(f"{given.cells} cells of {given.seconds:g} s; seconds, and how often faster than dvc repro")
        alone = seconds_of([*DVC, "repro", "-q"], root, environment(folder / "home"))
        print(f"{'dvc repro':28}{alone:8.1f}", flush=True)
        with server(folder / "server") as url:
            variables = environment(folder / "home", PREFECT_API_URL=url, PREFECT_WORKER_QUERY_SECONDS="2")
            for slots in (1, 2):
                forget(root)
                taken = seconds_of([*FLOW, "--workers", str(slots)], root, variables)
                print(f"{f'flow, {slots} slots':28}{taken:8.1f}{alone / taken:8.2f}", flush=True)
            operate = [sys.executable, "-m", "flows.operate"]
            subprocess.run([*operate, "deploy"], cwd=folder, env=variables, check=True, capture_output=True)
            workers: list[subprocess.Popen[bytes]] = []
            try:
                for count in (1, 2):
                    clone = folder / f"clone-{count}"
                    subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True)
                    with (folder / f"worker-{count}.log").open("w") as log:
                        workers.append(
                            subprocess.Popen(
                                [*operate, "worker", "--pool", "gpu", "--limit", "1"],
                                cwd=clone,
                                env=variables,
                                stdout=log,
                                stderr=log,
                            )
                        )
                    time.sleep(10)
                    forget(root)
                    for place in (remote, *(folder / f"clone-{n}" / ".dvc" / "cache" for n in (1, 2))):
                        shutil.rmtree(place, ignore_errors=True)
                    taken = seconds_of([*FLOW, "--placement", "gpu-pool"], root, variables)
                    print(f"{f'flow, {count} workers':28}{taken:8.1f}{alone / taken:8.2f}", flush=True)
            finally:
                for worker in workers:
                    worker.terminate()
                for worker in workers:
                    try:
                        worker.wait(timeout=20)
                    except subprocess.TimeoutExpired:
                        worker.terminate()
                        worker.wait()


if __name__ == "__main__":
    main()
