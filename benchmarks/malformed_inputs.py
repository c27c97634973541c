"""Malformed inputs per reader: how many are refused, read, fail with a traceback or hang, and what they cost.

`python benchmarks/malformed_inputs.py [--examples N]`. Inputs: tests/foreign_files.py (what is no such file),
tests/hostile_bytes.py (small files that cost much) and N structural variations of tests/test_foreign_files_fuzz.py.
Prints the table of docs/security.md.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "tests")]

from foreign_files import READERS, Reader, in_its_place  # noqa: E402
from hostile_bytes import bombs  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from measured_reading import Reading, measured  # noqa: E402
from test_foreign_files_fuzz import STRATEGIES, edited  # noqa: E402

from hmu_tasks.tracking import lineage  # noqa: E402


def readings(reader: Reader, path: Path, examples: int) -> Iterator[Reading]:
    """Read every malformed input of one reader."""
    good = reader.good()
    for _ in in_its_place(path, good):
        yield measured(lambda: reader.read(path))
    contents = list(bombs(reader.format).values())
    calm = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    @calm
    @given(content=st.one_of(STRATEGIES[reader.format](good), edited(good)))
    def draw(content: bytes) -> None:
        contents.append(content)

    draw()
    for content in contents:
        path.write_bytes(content)
        yield measured(lambda: reader.read(path))


def main() -> None:
    """Print one row per reader and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=40)
    examples = parser.parse_args().examples
    lineage.QUIET_SECONDS = 0.0
    total: Counter[str] = Counter()
    sys.stdout.write(
        "| reader | inputs | refused | read | tracebacks | hangs | longest, s | most memory, MiB |\n"
    )
    sys.stdout.write("|---|---:|---:|---:|---:|---:|---:|---:|\n")
    slowest, largest = 0.0, 0.0
    for reader in READERS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            found = list(readings(reader, reader.place(Path(folder) / "place"), examples))
            os.chdir("/")
        counts = Counter(one.outcome for one in found)
        counts["inputs"] = len(found)
        total += counts
        longest, most = max(one.seconds for one in found), max(one.memory for one in found)
        slowest, largest = max(slowest, longest), max(largest, most)
        _row(reader.name, counts, longest, most)
    _row("**all**", total, slowest, largest)


def _row(name: str, counts: Counter[str], longest: float, most: float) -> None:
    cells = [counts[key] for key in ("inputs", "refused", "read", "traceback", "hang")]
    sys.stdout.write(f"| {name} | {' | '.join(map(str, cells))} | {longest:.2f} | {most:.0f} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
