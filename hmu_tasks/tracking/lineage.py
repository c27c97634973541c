"""Where a run comes from: which pipeline run started it, which commit, which inputs."""

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from ruamel.yaml import YAML

PIPELINE_VARIABLE = "HMU_PIPELINE_RUN"
"""Environment variable by which a flow tells its stages that they belong together."""
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
    """Name a process for as long as the store lives, None when it is gone.

    A process id alone is used again after a while, so the time of its start goes with it.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            # Ticks since boot do not move with the wall clock, unlike psutil's create_time; field 22 of
            # proc(5), counted behind the command name, which may itself contain spaces and brackets.
            started = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[19]
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")[:8]
            return f"{pid}-{started}-{boot}"
        return f"{pid}-{round(process.create_time())}"
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
        return None


def pipeline_key() -> str:
    """Say which pipeline run this process belongs to.

    The variable HMU_PIPELINE_RUN decides where it is set (the Prefect flow sets it); below a `dvc` process
    all its stages share that process's identity; a step started by hand is a pipeline run of its own.
    """
    given = os.environ.get(PIPELINE_VARIABLE)
    if given:
        return given
    host = socket.gethostname()
    for parent in psutil.Process().parents():
        try:
            is_dvc = _is_dvc(parent.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if is_dvc:
            return f"dvc-{host}-{process_identity(parent.pid)}"
    return f"step-{host}-{process_identity(os.getpid())}"


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


@dataclass(frozen=True)
class Lock:
    """What dvc.lock says of finished stages; nothing where there is no dvc.lock yet.

    stages: name -> its entry
    """

    stages: Mapping[str, Mapping[str, Sequence[Mapping[str, str]]]]

    def outputs(self) -> dict[str, str]:
        """Find the digest of everything that finished stages wrote: path -> digest."""
        return {
            out["path"]: out["md5"]
            for stage in self.stages.values()
            for out in stage.get("outs", [])
            if "md5" in out
        }

    def inputs(self, root: Path, stage: str | None, more: Iterable[Path] = ()) -> dict[str, str]:
        """Find the digests of what a running stage reads: path -> digest.

        A running stage's own entry in dvc.lock is the one of its last run, so only the paths are taken from
        there; the digests are those of the outputs of the stages before it, which are finished. Source files
        are not listed: the commit stands for them. `more` adds paths, absolute or relative to `root`.
        """
        outputs = self.outputs()
        paths = {dep["path"] for dep in self.stages.get(stage or "", {}).get("deps", [])}
        paths |= {Path(os.path.relpath(root / path, root)).as_posix() for path in more}
        found = {}
        for path in sorted(paths):
            # A stage may read one file out of a folder that another stage wrote as a whole.
            for candidate in (path, *(parent.as_posix() for parent in Path(path).parents)):
                if candidate in outputs:
                    found[candidate] = outputs[candidate]
                    break
        return found


def read_lock(root: Path) -> Lock:
    """Read dvc.lock in the project at `root`, waiting while it is being written."""
    path = root / "dvc.lock"
    content = YAML(typ="safe").load(_settled_text(path)) if path.exists() else None
    return Lock((content or {}).get("stages", {}))


def _settled_text(lock: Path) -> str:
    """Read a file that nobody is writing: DVC writes dvc.lock piece by piece, while other stages run beside it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        before = lock.stat().st_mtime_ns
        text = lock.read_text(encoding="utf-8")
        quiet = lock.stat().st_mtime_ns == before and time.time_ns() - before > QUIET_SECONDS * 1e9
        if quiet or time.monotonic() > deadline:
            return text
        time.sleep(0.1)
