"""Work in worker processes: all results, in order where promised, errors, and an end when the reader stops."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.processes import as_made, in_order


def square(number: int) -> int:
    return number * number


def several(number: int) -> Iterator[int]:
    for place in range(number):
        yield 100 * number + place


def endless(number: int) -> Iterator[int]:
    while True:
        yield number


def faulty(number: int) -> Iterator[int]:
    yield number
    if number == 3:
        raise DataError("three is bad")


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_job_order(processes: int) -> None:
    assert list(in_order(square, list(range(100)), processes, chunk=3)) == [n * n for n in range(100)]


@pytest.mark.parametrize("processes", [1, 3])
def test_no_result_is_lost(processes: int) -> None:
    found = sorted(as_made(several, [0, 5, 200, 1], processes))
    assert found == sorted(100 * n + place for n in (0, 5, 200, 1) for place in range(n))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_a_job_is_raised(processes: int) -> None:
    with pytest.raises(DataError, match="three is bad"):
        list(as_made(faulty, [1, 2, 3, 4], processes))


def test_jobs_stop_when_the_reader_does() -> None:
    results = as_made(endless, [1, 2], 2)
    assert next(results) in (1, 2)
    results.close()  # type: ignore[attr-defined]
    assert [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())] == []


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "from test_processes import endless\nfrom hmu_tasks.runtime.processes import as_made\n"
        "if __name__ == '__main__':\n    for _ in as_made(endless, [1, 2], 2): print('ready', flush=True)\n"
    )
    (tmp_path / "main.py").write_text(code)
    here = Path(__file__).resolve()
    environment = os.environ | {"PYTHONPATH": f"{here.parent}{os.pathsep}{here.parents[2]}"}
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py")], env=environment, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert len(workers) >= 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    parent.stdout.close()
