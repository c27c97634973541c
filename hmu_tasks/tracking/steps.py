"""What a step knows and its output does not hold: when it ran, how long, with how much memory, and how it ended.

One untracked JSON file per stage of DVC, `runs/side/steps/<stage>.json`, of its last attempt. A step that was killed
leaves the status RUNNING under a process that has ended.
"""

import hashlib
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import expecting, read_object, write_json
from hmu_tasks.tracking import lineage

STAGE_VARIABLE = "DVC_STAGE"
"""Environment variable by which DVC names the stage that it runs."""
FINGERPRINT_TAG = "hmu.fingerprint"
"""Tag by which the mirror finds the run of a live training: DVC's digest is not known yet when that ends."""
_READ_IN_FULL = 65536  # bytes; of larger files the fingerprint takes the size


@dataclass(frozen=True)
class StepRecord:
    """One attempt of a stage.

    pipeline: key that the steps of one pipeline run share
    tags: machine, process and commit
    start, end: seconds since 1970; end is None while the step runs, and for ever where it was killed
    status: RUNNING, FINISHED, FAILED or KILLED
    """

    stage: str
    pipeline: str
    tags: dict[str, str]
    start: float
    status: str = "RUNNING"
    error: str = ""
    end: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def process(self) -> str:
        """Identity of the process."""
        return self.tags.get("hmu.process", "")

    def settled(self) -> "StepRecord":
        """Return how the attempt ended, including attempts whose process was killed."""
        here = self.tags.get("hmu.host") == socket.gethostname()
        dead = here and lineage.process_identity(int(self.process.split("-")[0] or 0)) != self.process
        return replace(self, status="KILLED") if self.status == "RUNNING" and dead else self


def record_file(stage: str) -> Path:
    """Return the place of a stage's record."""
    return paths.STEPS / f"{stage}.json"


def read_records() -> list[StepRecord]:
    """Read the last attempt of every stage that was run in this checkout."""
    return [_read(file) for file in sorted(paths.STEPS.glob("*.json"))]


def _read(file: Path) -> StepRecord:
    with expecting(file):
        return StepRecord(**read_object(file))


@contextmanager
def recorded() -> Iterator[None]:
    """Record the step that runs within; only stages of DVC are recorded, for the others have no entry in dvc.lock."""
    stage = os.environ.get(STAGE_VARIABLE)
    if not stage:
        yield
        return
    record = StepRecord(stage, lineage.pipeline_key(), lineage.origin(Path()), time.time())
    _write(record)
    try:
        yield
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        _write(_ended(record, status, (str(error) or type(error).__name__)[:2000]))
        raise
    _write(_ended(record, "FINISHED"))


def _ended(record: StepRecord, status: str, error: str = "") -> StepRecord:
    now = time.time()
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss: bytes there, KiB on Linux
    spent = {
        "seconds": round(now - record.start, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1),
    }
    return replace(record, status=status, error=error, end=now, metrics=spent)


def _write(record: StepRecord) -> None:
    write_json(record_file(record.stage), asdict(record))


def fingerprint(output: Path) -> str:
    """Digest names, sizes and the content of small files: cheap, and equal for equal outputs."""
    found = hashlib.sha256()
    files = sorted(file for file in output.rglob("*") if file.is_file()) if output.is_dir() else [output]
    for file in files:
        size = file.stat().st_size
        content = file.read_bytes() if size <= _READ_IN_FULL else b""
        for part in (file.relative_to(output).as_posix().encode(), str(size).encode(), content):
            found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()
