"""What a step spends before it works: CPU seconds of its imports and of reading params.yaml, in runs on tiny data.

    python benchmarks/startup.py [--against CHECKOUT] [--repeats 5]

Every step runs in full on the smallest benchmark, which takes it a moment, so that nothing is left out that is merely
loaded late; the pipeline before it is run once, in a temporary folder (half a minute). Printed are medians: `start-up`
is the CPU time of the process less that of the work after the last import, `whole` the CPU time of the process.
With --against, another checkout's steps run in turn with this one's, on the same files.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
STEPS = (
    "filter",
    "validate",
    "train tokenizer full",
    "train base-momask full",
    "codebook",
    "unlearn momask original",
    "unlearn momask lcr",
    "evaluate momask lcr",
    "probe momask lcr",
    "register momask lcr --decide-only",
    "report",
)
MEASURED = """
import builtins, resource, runpy, sys, time
own, depth, original = [0.0], [0], builtins.__import__
def counted(*arguments, **options):
    if depth[0]:
        return original(*arguments, **options)
    depth[0], before = 1, time.process_time()
    try:
        return original(*arguments, **options)
    finally:
        depth[0] = 0
        own[0] += time.process_time() - before
base = time.process_time()
builtins.__import__ = counted
sys.argv[0] = "hmu"
code = 0
try:
    runpy.run_module("hmu_tasks", run_name="__main__")
except BaseException as end:
    code = getattr(end, "code", 1)
used = resource.getrusage(resource.RUSAGE_SELF)
sys.stderr.write(f"\\nmeasured {base + own[0]} {used.ru_utime + used.ru_stime} {int(bool(code))}\\n")
"""


@contextmanager
def prepared() -> Iterator[Path]:
    """A folder in which every step has run on the smallest benchmark."""
    with tempfile.TemporaryDirectory(prefix="hmu-startup-") as scratch:
        code = (
            "import json\nfrom pathlib import Path\nfrom ruamel.yaml import YAML\n"
            "import tiny_world\nknobs = tiny_world.tiny_params()\n"
            "values = json.loads(knobs.model_dump_json(by_alias=True))\n"
            "YAML(typ='safe').dump(values, Path('params.yaml'))\n"
            "tiny_world.run_every_step(knobs)\n"
        )
        environment = os.environ | {
            "PYTHONPATH": f"{HERE}{os.pathsep}{HERE / 'tests'}",
            "OMP_NUM_THREADS": "1",
        }
        subprocess.run([sys.executable, "-c", code], cwd=scratch, env=environment, check=True)
        yield Path(scratch)


def measure(checkout: Path, folder: Path, step: str) -> tuple[float, float, bool]:
    """Run a step: CPU seconds of its imports, of the whole process, and whether it succeeded."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *step.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    _, imports, whole, failed = done.stderr.rstrip().splitlines()[-1].split()
    return float(imports), float(whole), failed == "0"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    checkouts = [*([asked.against.resolve()] if asked.against else []), HERE]
    print(f"{'step':<36}" + "".join(f"{c.name[:12]:>24}" for c in checkouts))
    print(f"{'':<36}" + f"{'start-up':>14}{'whole':>10}" * len(checkouts))
    with prepared() as folder:
        for step in STEPS:
            found: dict[Path, list[tuple[float, float, bool]]] = {checkout: [] for checkout in checkouts}
            for _ in range(asked.repeats):
                for checkout in checkouts:
                    copy = folder.with_name(f"{folder.name}-copy")
                    shutil.copytree(folder, copy)
                    try:
                        found[checkout].append(measure(checkout, copy, step))
                    finally:
                        shutil.rmtree(copy)
            line = f"{step:<36}"
            for rows in found.values():
                imports, whole = (statistics.median(row[i] for row in rows) for i in (0, 1))
                line += f"{imports:>14.2f}{whole:>10.2f}" + (
                    "" if all(row[2] for row in rows) else " (failed)"
                )
            print(line, flush=True)


if __name__ == "__main__":
    main()
