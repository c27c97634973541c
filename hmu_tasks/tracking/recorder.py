"""One process that writes the records of all steps of a pipeline run to MLflow.

MLflow takes a process some two and a half seconds to load and to open its store, which is longer than many a step
works. Where HMU_RECORDER names the socket of a recorder, steps send their records there: a JSON list of a call and its
arguments, answered by `{"value": …}` or `{"error": message}`. The socket lies in a folder of the user alone. The run of
a step that is gone without a word ends as KILLED.

`python -m hmu_tasks.tracking.recorder <socket>` serves until it is told to stop (SIGTERM).
"""

import json
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking.step_run import Opening, Points, StepRun

if TYPE_CHECKING:
    from hmu_tasks.tracking.runs import StoreRun

GRACE_SECONDS = 3.0
"""How long a recorder that is told to stop waits for the runs of steps that were ended with it."""


def reach(address: str) -> Connection | None:
    """Connect with the recorder at a socket; None where nobody listens."""
    try:
        return Client(address, family="AF_UNIX")
    except (FileNotFoundError, ConnectionError):
        return None


class RecordedRun(StepRun):
    """A run that the recorder holds open; every call waits for its answer and raises what went wrong there."""

    def __init__(self, connection: Connection, opening: Opening) -> None:
        """Have the run opened."""
        self._connection = connection
        self.run_id = self._ask("open", asdict(opening))

    def points(self, points: Points) -> None:
        """Record values."""
        self._ask("points", {"points": list(points)})

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a copy, which is made before this returns."""
        self._ask("artifact", {"path": str(path.absolute()), "folder": folder})

    def tag(self, name: str, value: object) -> None:
        """Set one tag."""
        self._ask("tag", {"name": name, "value": str(value)})

    def close(self, status: str, error: str = "") -> None:
        """End the run."""
        self._ask("close", {"status": status, "error": error})
        self._connection.close()

    def _ask(self, call: str, arguments: dict[str, Any]) -> Any:
        try:
            self._connection.send_bytes(json.dumps([call, arguments]).encode())
            answer = json.loads(self._connection.recv_bytes())
        except (OSError, EOFError) as error:
            raise HmuError(
                "the process that writes to MLflow for this pipeline run does not answer any more; what it said last "
                "stands above. Start the same command again: finished steps are kept, and training continues from its "
                "last checkpoint"
            ) from error
        if "error" in answer:
            raise HmuError(answer["error"])
        return answer["value"]


def serve(address: str) -> None:
    """Answer the steps that connect, each in a thread of its own, until SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    threads: list[threading.Thread] = []
    with Listener(address, family="AF_UNIX", backlog=16) as listener:
        try:
            while True:
                thread = threading.Thread(target=_attend, args=(listener.accept(),), daemon=True)
                thread.start()
                threads.append(thread)
        finally:
            deadline = time.monotonic() + GRACE_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 the signature of signal handlers
    sys.exit(0)


def _attend(connection: Connection) -> None:
    """Do what one step asks for, until it is through or gone."""
    run: StoreRun | None = None
    with connection:
        try:
            while True:
                call, arguments = json.loads(connection.recv_bytes())
                try:
                    run, value = _answer(run, call, arguments)
                    answer = {"value": value}
                except HmuError as error:
                    answer = {"error": str(error)}
                connection.send_bytes(json.dumps(answer).encode())
        except (OSError, EOFError):
            if run is not None:
                with suppress(HmuError):
                    run.close("KILLED")


def _answer(run: "StoreRun | None", call: str, arguments: dict[str, Any]) -> tuple["StoreRun | None", Any]:
    """Carry out one call; return the run that is open afterwards and the answer."""
    from hmu_tasks.tracking.runs import open_run

    if call == "open":
        run = open_run(Opening(**arguments))
        return run, run.run_id
    if run is None:
        raise HmuError(f"{call} was asked for before a run was opened")
    if call == "artifact":
        run.artifact(Path(arguments["path"]), arguments["folder"])
    elif call == "points":
        run.points(arguments["points"])
    elif call == "tag":
        run.tag(arguments["name"], arguments["value"])
    elif call == "close":
        run.close(arguments["status"], arguments["error"])
        return None, None
    else:
        raise HmuError(f"unknown call {call!r}")
    return run, None


if __name__ == "__main__":
    serve(sys.argv[1])
