"""Run a command so that nothing of it outlives the process that started it.

Start `python -m flows.engine.guard -- command …` as the leader of a process group of its own. It ends the whole group
when its parent is gone (even by SIGKILL), when it is told to stop, and, for stragglers, when the command has ended.
Otherwise a killed `dvc` would leave its stage running and writing.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import FrameType

import psutil

GUARD = [sys.executable, "-m", "flows.engine.guard"]
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.2


class Stopped(BaseException):
    """The guard was told to stop; raised by the signal handler."""


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 the signature of signal handlers
    raise Stopped(number)


def run(command: list[str], parent: int) -> int:
    """Run `command` in this process group while process `parent` lives; return its exit status.

    The status is 143, as after SIGTERM, if the parent is gone or the guard was told to stop.
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    status = 128 + signal.SIGTERM
    try:
        child = subprocess.Popen(command)
        while os.getppid() == parent:
            try:
                status = child.wait(timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
    except Stopped:
        pass
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        end(members(os.getpgid(0)))
    return status if status >= 0 else 128 - status


def members(group: int) -> list[psutil.Process]:
    """List the processes of a group, without this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and os.getpgid(process.pid) == group:
                found.append(process)
        except ProcessLookupError:
            continue
    return found


def end(processes: list[psutil.Process]) -> None:
    """Ask processes to end, and kill what is still there after the grace time."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=GRACE_SECONDS)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=GRACE_SECONDS)


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):  # also raised if the process id now belongs to another process
        process.send_signal(number)


def main() -> int:
    """Read the command line."""
    parent = os.getppid()
    if sys.argv[1:2] != ["--"] or len(sys.argv) < 3:
        sys.stderr.write("usage: python -m flows.engine.guard -- command [argument …]\n")
        return 2
    return run(sys.argv[2:], parent)


if __name__ == "__main__":
    sys.exit(main())
