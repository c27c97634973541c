"""MLflow after a walk: `python -m hmu_tasks mirror` reads what the stages wrote, in a guarded process of its own."""

import os
import sys

from prefect import get_run_logger

from flows.engine.redaction import redactor
from flows.engine.walk import Walk

COMMAND = [sys.executable, "-m", "hmu_tasks", "mirror"]


def mirror(walk: Walk) -> None:
    """Write the finished stages of a walk to MLflow.

    A failure is a warning in the log and on the terminal: the files are the truth, and the next mirror catches up.
    """
    process = walk.processes.start(COMMAND, root=walk.root, environment=walk.environment)
    if process is None:
        return
    try:
        output = process.communicate()[0].decode("utf-8", errors="replace")
    except BaseException:
        walk.processes.stop()
        raise
    finally:
        walk.processes.ended(process)
    if process.returncode != 0:
        reason = redactor(os.environ | walk.environment)(output.strip())
        get_run_logger().warning("MLflow was not updated: %s", reason)
