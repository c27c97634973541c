"""The recorder of a walk: one process that writes the records of all its stages to MLflow."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.guard import GUARD
from hmu_tasks.tracking.step_run import RECORDER_VARIABLE


@contextmanager
def recorder(root: Path) -> Iterator[dict[str, str]]:
    """Start a recorder for the project at `root`; yield the environment by which stages find it, end it afterwards.

    It loads MLflow when the first stage asks for it. A stage that starts before the recorder listens writes to the
    store itself.
    """
    # A socket's path may have some hundred letters, which a path below `root` may exceed.
    with tempfile.TemporaryDirectory(prefix="hmu-recorder-") as folder:
        address = f"{folder}/socket"
        process = subprocess.Popen(
            [*GUARD, "--", sys.executable, "-m", "hmu_tasks.tracking.recorder", address],
            cwd=root,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield {RECORDER_VARIABLE: address}
        finally:
            process.terminate()
            process.wait()
