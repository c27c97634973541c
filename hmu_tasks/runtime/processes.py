"""Work spread over processes: results arrive as they are made, and no worker outlives the process that started it."""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, Final, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

MOST: Final = 8
"""Workers at most: each holds numpy and one motion, 100 to 250 MB, so that eight stay below 2 GB."""
_POLL: Final = 1.0  # seconds between checks that the workers are alive
_WAITING: Final = 64  # results that may wait for the reader, so that fast workers do not fill the memory


def cores() -> int:
    """Number of workers for this machine: the cores that the process may use, at most `MOST`."""
    return min(len(os.sched_getaffinity(0)), MOST)


def in_order(
    function: Callable[[Job], Result], jobs: Sequence[Job], processes: int, *, chunk: int = 16
) -> Iterator[Result]:
    """Apply a function to all jobs in worker processes; yield the results in job order.

    With fewer than two processes everything runs here. function and jobs must be picklable.
    """
    if processes < 2:
        yield from map(function, jobs)
        return
    with _pool(processes) as pool:
        ahead = 4 * processes
        try:
            waiting: list[Future[list[Result]]] = []
            for first in range(0, len(jobs), chunk):
                waiting.append(pool.submit(_apply, function, jobs[first : first + chunk]))
                if len(waiting) > ahead:
                    yield from waiting.pop(0).result()
            for future in waiting:
                yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def as_made(
    function: Callable[[Job], Iterator[Result]], jobs: Sequence[Job], processes: int
) -> Iterator[Result]:
    """Run all jobs, each of which yields any number of results; yield these as they are made, in any order.

    Closing the iterator stops the jobs after the result that each is at.
    """
    if processes < 2 or len(jobs) < 2:
        for job in jobs:
            yield from function(job)
        return
    start = multiprocessing.get_context("spawn")
    results: Any = start.Queue(_WAITING)
    stop: Any = start.Event()
    with _pool(min(processes, len(jobs)), results, stop) as pool:
        futures = {pool.submit(_put_all, function, job) for job in jobs}
        received = sent = 0
        try:
            while futures or received < sent:
                try:
                    one = results.get(timeout=_POLL)
                    received += 1
                    yield one
                except queue.Empty:
                    pass
                finished = {future for future in futures if future.done()}
                sent += sum(future.result() for future in finished)  # raises what a job raised
                futures -= finished
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            results.close()


def _pool(processes: int, *shared: Any) -> ProcessPoolExecutor:
    start = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=start, initializer=_begin, initargs=shared)


_shared: tuple[Any, ...] = ()


def _begin(*shared: Any) -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent is gone."""
    global _shared
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _apply(function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    return [function(job) for job in jobs]


def _put_all(function: Callable[[Job], Iterator[Result]], job: Job) -> int:
    """Put all results of a job into the shared queue until the reader stops; returns their number."""
    results, stop = _shared
    count = 0
    for result in function(job):
        while not stop.is_set():
            try:
                results.put(result, timeout=_POLL)
                break
            except queue.Full:
                continue
        else:
            break
        count += 1
    return count
