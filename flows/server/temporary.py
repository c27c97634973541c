"""A Prefect server for one run, if PREFECT_API_URL names none.

It runs in a session of its own, so that Ctrl-C reaches the flow only and the flow can still record how it ended; its
guard ends it with the flow, however that ends. Prefect's own temporary server would get the Ctrl-C too.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from flows.engine.guard import GUARD
from flows.server.reports import URL_VARIABLE
from hmu_tasks.runtime.errors import HmuError

_VARIABLE = "HMU_TEMPORARY_SERVER"
"""Environment variable with the process number of the server's guard, for the process that waits for it."""
_PATIENCE_SECONDS = 120.0
"""The first start creates the database."""
WITHOUT = {
    f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false"
    for name in (
        "CANCELLATION_CLEANUP",
        "CLEANUP_RECONCILER",
        "FOREMAN",
        "LATE_RUNS",
        "PAUSE_EXPIRATIONS",
        "REPOSSESSOR",
        "SCHEDULER",
        "TRIGGERS",
    )
}
"""Services for schedules, workers and automations: they poll every few seconds, and one run needs none."""


def start() -> None:
    """Start a server; set PREFECT_API_URL to its address, and a second variable to its process id.

    Both are for this process after an os.execve: Prefect reads its settings when it is imported. A process that is
    killed takes the server along.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with _log().open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [*GUARD, "--", sys.executable, "-m", "flows.server.operate", "server", "--port", str(port)],
            env=WITHOUT | {URL_VARIABLE: ""} | os.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    os.environ.update({"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", _VARIABLE: str(server.pid)})


def await_server() -> None:
    """Wait until the temporary server, if there is one, answers; it ends with this process.

    Raises HmuError when it ends or stays silent.
    """
    if _VARIABLE not in os.environ:
        return
    from prefect import get_client

    atexit.register(_stop)  # behind what Prefect registers later: its last log lines still go to the server
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with get_client(sync_client=True) as client:
        while client.api_healthcheck() is not None:
            if _has_ended() or time.monotonic() > deadline:
                lines = _log().read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
                raise HmuError("\n".join([f"the temporary Prefect server did not start ({_log()}):", *lines]))
            time.sleep(0.1)


def _stop() -> None:
    """End the temporary server, which this process has started, and wait until it is gone."""
    number = int(os.environ.pop(_VARIABLE))
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(number, signal.SIGTERM)
        os.waitpid(number, 0)


def _has_ended() -> bool:
    try:
        return os.waitpid(int(os.environ[_VARIABLE]), os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _log() -> Path:
    return Path(os.environ.get("PREFECT_HOME", tempfile.gettempdir())) / "temporary-server.log"
