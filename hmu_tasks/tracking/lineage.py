"""Where a run comes from: which pipeline run started it, on which commit, from which inputs."""

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.foreign import SETTINGS, read_text

PIPELINE_VARIABLE = "HMU_PIPELINE"
"""Environment variable by which a flow groups its stages."""
QUIET_SECONDS = 1.0
"""A file that has not changed for so long is finished; a writer at work leaves less between two pieces."""
PATIENCE_SECONDS = 20.0
"""How long to wait for that; the clock of a network drive may be ahead for ever."""


@dataclass(frozen=True)
class Commit:
    """State of the checkout; `id` is None outside a git repository or before the first commit."""

    id: str | None
    dirty: bool


def process_identity(pid: int) -> str | None:
    """Name a process uniquely on this machine, None when it has ended.

    Process ids are reused, so the time of the process's start is part of the name.
    """
    stat = Path(f"/proc/{pid}/stat")
    try:
        # State and start are fields 3 and 22 of proc(5), counted behind the command name, which may itself contain
        # spaces and brackets. Ticks since boot do not move with the wall clock.
        fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")[:8]
        return None if fields[0] in {"Z", "X"} else f"{pid}-{fields[19]}-{boot}"
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _identity_by_psutil(pid)


def _identity_by_psutil(pid: int) -> str | None:
    """Name a process on systems without /proc."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{pid}-{round(process.create_time())}"
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def pipeline_key() -> str:
    """Name the pipeline run that this process belongs to.

    The variable HMU_PIPELINE decides where it is set (flows set it); all stages below one `dvc` process share that
    process's identity; a step started by hand is a pipeline run of its own.
    """
    return given_pipeline() or f"step-{socket.gethostname()}-{process_identity(os.getpid())}"


def given_pipeline() -> str | None:
    """Name the pipeline run by HMU_PIPELINE or by the `dvc` process above this one; None without either."""
    given = os.environ.get(PIPELINE_VARIABLE)
    if given:
        return given
    import psutil

    for parent in psutil.Process().parents():
        try:
            is_dvc = _is_dvc(parent.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if is_dvc:
            return f"dvc-{socket.gethostname()}-{process_identity(parent.pid)}"
    return None


def _is_dvc(command: list[str]) -> bool:
    """Recognise `dvc …`, `python …/dvc …` and `python -m dvc …`."""
    if any(Path(part).name in {"dvc", "dvc.exe"} for part in command[:2]):
        return True
    return any(command[at : at + 2] == ["-m", "dvc"] for at in range(1, min(len(command), 5)))


def commit(root: Path) -> Commit:
    """Read the checked-out commit; `dirty` leaves dvc.lock out, which every run rewrites."""
    head = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
    return Commit(id=head or None, dirty=bool(changes))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=60
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def origin(root: Path) -> dict[str, str]:
    """Return the tags of what this process works on: machine, process, commit."""
    found = commit(root)
    tags = {
        "hmu.host": socket.gethostname(),
        "hmu.process": process_identity(os.getpid()) or "",
        "hmu.git.dirty": str(found.dirty).lower(),
        "mlflow.source.type": "LOCAL",
    }
    return tags | ({"mlflow.source.git.commit": found.id} if found.id else {})


@dataclass(frozen=True)
class Lock:
    """Finished stages according to dvc.lock; empty without a dvc.lock.

    stages: name -> its entry
    """

    stages: Mapping[str, Mapping[str, Any]]

    def outputs(self) -> dict[str, str]:
        """Return the digest of everything that finished stages wrote: path -> digest."""
        return {
            out["path"]: out["md5"]
            for stage in self.stages.values()
            for out in stage.get("outs", [])
            if "md5" in out
        }

    def inputs(self, stage: str) -> dict[str, str]:
        """Return the digests of what a finished stage read of earlier stages: path -> digest.

        Source files are not listed: the commit identifies them.
        """
        outputs = self.outputs()
        return {
            dep["path"]: dep["md5"]
            for dep in self.stages.get(stage, {}).get("deps", [])
            if "md5" in dep and any(place in outputs for place in _upwards(dep["path"]))
        }

    def current(self, places: Sequence[Path]) -> dict[str, str]:
        """Return the digests of outputs as they are now, for what no stage reads: path -> digest."""
        outputs = self.outputs()
        return {
            found: outputs[found]
            for place in places
            for found in [next((one for one in _upwards(place.as_posix()) if one in outputs), None)]
            if found is not None
        }

    def params(self, stage: str) -> dict[str, Any]:
        """Return the parameters that a finished stage ran with: dotted key -> value."""
        found: dict[str, Any] = self.stages.get(stage, {}).get("params", {}).get("params.yaml", {})
        return found


def _upwards(path: str) -> list[str]:
    """A stage may read one file out of a folder that another stage wrote as a whole."""
    return [path, *(parent.as_posix() for parent in Path(path).parents)]


def read_lock(root: Path) -> Lock:
    """Read dvc.lock in the project at `root`, waiting while it is being written."""
    path = root / "dvc.lock"
    if not path.exists():
        return Lock({})
    from hmu_tasks.runtime.yaml_files import parse_yaml

    return Lock(stages_of(parse_yaml(_settled_text(path), path), path))


def stages_of(content: Any, path: Path) -> dict[str, Any]:
    """Return the entries of a parsed dvc.lock by stage; ConfigError where it is cut off or no lock file of DVC."""
    stages = content.get("stages", {}) if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(map(_is_entry, stages.values())):
        raise ConfigError(
            f"{path} is not a lock file of DVC: it is empty, cut off, or was edited; restore it with "
            f"`git checkout -- {path.name}`"
        )
    return stages


def _is_entry(entry: Any) -> bool:
    """Say whether a stage's entry has the form that DVC writes, as far as it is read here."""
    if not isinstance(entry, dict) or not isinstance(entry.get("params", {}), dict):
        return False
    rows = [row for part in ("deps", "outs") for row in _list(entry.get(part, []))]
    return all(isinstance(row, dict) and isinstance(row.get("path"), str) for row in rows)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [None]  # None is no row


def _settled_text(lock: Path) -> str:
    """Read a file that nobody is writing: DVC writes dvc.lock piece by piece, while other stages run beside it."""
    since = time.monotonic()
    deadline, seen = since + PATIENCE_SECONDS, (0, 0)
    while True:
        before = lock.stat().st_mtime_ns
        state = before, lock.stat().st_size
        if state != seen:
            seen, since = state, time.monotonic()
        try:
            text = read_text(lock, limit=SETTINGS)
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{lock} is not text ({error}); restore it with `git checkout -- {lock.name}`"
            ) from error
        # A file from another machine, or from before the clock was put back, may be younger than now: it is watched.
        age = max(time.time_ns() - before, (time.monotonic() - since) * 1e9)
        quiet = lock.stat().st_mtime_ns == before and age > QUIET_SECONDS * 1e9
        if quiet or time.monotonic() > deadline:
            return text
        time.sleep(0.1)
