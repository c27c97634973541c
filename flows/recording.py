"""MLflow after a walk: the mirror reads what the stages wrote, in a process of its own."""

import subprocess
import sys
from pathlib import Path

from flows.guard import GUARD
from hmu_tasks.tracking.lineage import PIPELINE_VARIABLE

MIRROR = [sys.executable, "-m", "hmu_tasks", "mirror"]


def mirror(root: Path, environment: dict[str, str], pipeline: str) -> str:
    """Write the finished stages of the project at `root` to MLflow; return what went wrong, empty where nothing did.

    pipeline: key of the parent run. A store that cannot be reached fails no pipeline: the files are the truth, and the
    next mirror catches up.
    """
    done = subprocess.run(
        [*GUARD, "--", *MIRROR],
        cwd=root,
        env=environment | {PIPELINE_VARIABLE: pipeline},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip()
