"""A worktree of its own for each isolated run: own files and parameters, the checkout's DVC cache.

Everything below a run's worktree is deleted with it. What has to outlive it goes elsewhere: results into the cache,
training checkpoints into a scratch folder, the lock file into a commit.
"""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.engine.graph import DVC
from flows.engine.lockfile import drop_unavailable
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking.lineage import commit

SCRATCH_VARIABLE = "HMU_SCRATCH"
"""A folder that all workers reach, so that a training continues from its checkpoint on another machine."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Workspace:
    """Where a run works, and the commit that it started from."""

    root: Path
    baseline: str


def git(root: Path, *arguments: str) -> str:
    """Run git and return what it prints; raises HmuError with git's message."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HmuError(f"`git {' '.join(arguments)}` failed in {root}: {done.stderr.strip()}")
    return done.stdout.strip()


def find_commit(checkout: Path, revision: str) -> str:
    """Resolve a branch, tag or commit; fetches first if it is unknown or a remote's branch."""
    remotes = git(checkout, "remote").split()
    if any(revision.startswith(f"{remote}/") for remote in remotes):
        git(checkout, "fetch", "--quiet", "--all")
    name = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    try:
        return git(checkout, *name)
    except HmuError:
        if remotes:
            git(checkout, "fetch", "--quiet", "--all")
    try:
        return git(checkout, *name)
    except HmuError:
        raise HmuError(
            f"{checkout} has no revision {revision!r}, and none of its remotes ({', '.join(remotes) or 'none'}) "
            "has; push it to one of them first"
        ) from None


def check_name(name: str) -> None:
    """Raise HmuError unless a name can be that of a folder, an experiment and a branch."""
    if not _NAME.fullmatch(name) or name.endswith((".lock", ".")) or ".." in name:
        raise HmuError(f"{name!r} cannot be the name of a run; use letters, digits, '.', '_' and '-'")


def head(checkout: Path) -> str:
    """Return the checked-out commit; empty before the first one, and where there is no git."""
    return commit(checkout).id or ""


def is_dirty(checkout: Path, *allowed: str) -> bool:
    """Return whether tracked files differ from the checked-out commit; `allowed` ones may."""
    spared = [f":!{name}" for name in allowed]
    return bool(git(checkout, "status", "--porcelain", "--untracked-files=no", "--", ".", *spared))


def check_shared(root: Path, *, in_place: bool) -> None:
    """Make sure that workers can get what this machine has: a DVC remote, and committed code.

    Raises HmuError with what is missing.
    """
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        if not repo.config["core"].get("remote"):
            raise HmuError(
                "stages on workers need a default DVC remote that all machines reach: "
                "`dvc remote add --default shared <address>`"
            )
    if in_place and is_dirty(root, "params.yaml", "dvc.lock"):
        raise HmuError(
            f"workers run what is committed, and {root} has uncommitted changes; commit them first"
        )


def restore(root: Path) -> None:
    """Fill a fresh worktree with what the cache has of its dvc.lock, and drop the rest from it for the run cache."""
    if (root / "dvc.lock").exists():
        run_checked(root, [*DVC, "--wait-for-lock", "checkout", "--quiet", "--allow-missing"])
        drop_unavailable(root)


@contextmanager
def worktree(checkout: Path, revision: str, *, key: str, scratch: str) -> Iterator[Workspace]:
    """Open a worktree of the checkout at a revision and remove it afterwards.

    key: name of its folder; no other run that is alive may use it
    scratch: name of the folder for training checkpoints; a run under the same name goes on from them
    """
    check_name(scratch)
    commit = find_commit(checkout, revision)
    folder = checkout / "runs" / "side" / "worktrees"
    folder.mkdir(parents=True, exist_ok=True)
    _remove_stale(checkout, folder)
    root = folder / key
    handle = os.open(folder / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        git(checkout, "worktree", "add", "--quiet", "--force", "--detach", str(root), commit)
        _configure(checkout, root)
        _link_side_folders(checkout, root, scratch)
        yield Workspace(root, commit)
    finally:
        _remove(checkout, root)
        (folder / f"{key}.lock").unlink(missing_ok=True)
        os.close(handle)


def _remove(checkout: Path, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)  # links into the scratch folder are removed, not followed
    git(checkout, "worktree", "prune")


def _remove_stale(checkout: Path, folder: Path) -> None:
    """Remove the worktrees of processes that were killed: the kernel has freed their locks."""
    for lock in folder.glob("*.lock"):
        try:
            handle = os.open(lock, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(checkout, lock.with_suffix(""))
            lock.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(handle)


def _configure(checkout: Path, root: Path) -> None:
    """Give the worktree the checkout's cache and remotes; relative paths would mean another folder there."""
    from dvc.repo import Repo

    local = checkout / ".dvc" / "config.local"
    if local.exists():
        shutil.copy2(local, root / ".dvc" / "config.local")
    with Repo(str(checkout)) as repo:
        cache = repo.cache.local_cache_dir
        places = {
            name: remote["url"]
            for name, remote in repo.config["remote"].items()
            if "://" not in remote["url"]
        }
    with Repo(str(root)) as repo, repo.config.edit("local") as config:
        config.setdefault("cache", {})["dir"] = str(cache)
        # Large inputs are linked where the file system can; DVC removes an output before its stage writes it.
        config["cache"].setdefault("type", ["reflink", "hardlink", "copy"])
        for name, place in places.items():
            config.setdefault("remote", {}).setdefault(name, {})["url"] = str(place)


def scratch_folder(checkout: Path) -> Path:
    """Return the folder for training checkpoints: HMU_SCRATCH, or one in the checkout."""
    given = os.environ.get(SCRATCH_VARIABLE)
    return Path(given).resolve() if given else checkout / "runs" / "side" / "scratch"


def _link_side_folders(checkout: Path, root: Path, scratch: str) -> None:
    """Let checkpoints, caches and the local MLflow store outlive the worktree."""
    side = checkout / "runs" / "side"
    here = root / "runs" / "side"
    here.mkdir(parents=True, exist_ok=True)
    for name, place in (
        ("scratch", scratch_folder(checkout) / scratch),
        ("cache", side / "cache"),
        ("mlflow", side / "mlflow"),
    ):
        place.mkdir(parents=True, exist_ok=True)
        (here / name).symlink_to(place, target_is_directory=True)


def run_checked(root: Path, command: list[str]) -> None:
    """Run a command in a workspace; raises HmuError with its message if it fails."""
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HmuError(done.stderr.strip())
