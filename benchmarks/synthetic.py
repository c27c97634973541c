"""Throughput of writing the embedded benchmark, features and files included, in clips per second on one thread.

Usage: OMP_NUM_THREADS=1 python benchmarks/synthetic.py [clips]
"""

import sys
import tempfile
import time
from pathlib import Path

from hmu_tasks.data.datasets.synthetic.writer import write_raw_folder


def main() -> None:
    """Write the benchmark three times and print the rates."""
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    rates = []
    for seed in range(3):
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time(), time.perf_counter()
            write_raw_folder(Path(folder), clips=clips, seed=seed, test=40, val=40)
            cpu, wall = time.process_time() - start[0], time.perf_counter() - start[1]
        rates.append((clips + 80) / cpu)
        print(f"{clips + 80} clips: {cpu:.2f} CPU s, {wall:.2f} s wall, {rates[-1]:.0f} clips per CPU second")
    print(f"median {sorted(rates)[1]:.0f} clips/s on one core")


if __name__ == "__main__":
    main()
