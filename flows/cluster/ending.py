"""What an isolated run leaves: a DVC experiment or a branch, and its report in the checkout."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from prefect import State, get_run_logger
from prefect.states import Completed

from flows.cluster.workspace import Workspace, git
from flows.engine import artifacts
from flows.server import reports
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.markdown import Ready, code

_IDENTITY = ["-c", "user.name=hmu", "-c", "user.email=hmu@localhost"]


def _commit(workspace: Workspace, message: str) -> str:
    """Commit what the run changed in tracked files (parameters, dvc.lock) upon its baseline; return the commit.

    No branch, index or HEAD of the checkout is touched, so runs can end side by side.
    """
    root = workspace.root
    git(root, "add", "--update")
    if (root / "dvc.lock").exists():
        git(root, "add", "dvc.lock")
    tree = git(root, "write-tree")
    identity = [] if _has_identity(root) else _IDENTITY
    return git(root, *identity, "commit-tree", "-p", workspace.baseline, "-m", message, tree)


def _has_identity(root: Path) -> bool:
    done = subprocess.run(["git", "var", "GIT_COMMITTER_IDENT"], cwd=root, capture_output=True, check=False)
    return done.returncode == 0


def save_experiment(workspace: Workspace, name: str, message: str) -> str:
    """Leave the run as a DVC experiment: `dvc exp show` lists it, `dvc exp apply` applies it.

    DVC finds experiments by the reference refs/exps/<baseline>/<name>. `dvc exp save` would write references that
    all worktrees share while it works, so that two runs that end together would disturb each other.
    """
    base = workspace.baseline
    made = _commit(workspace, message)
    git(workspace.root, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", made)
    return made


def save_branch(workspace: Workspace, name: str, message: str) -> str:
    """Leave the run as one commit on a new branch; raises HmuError if the branch exists already."""
    made = _commit(workspace, message)
    git(workspace.root, "branch", "--no-track", name, made)
    return made


def push_reference(workspace: Workspace, finish: str, name: str) -> str:
    """Send the run's branch or experiment to the git remote `origin`; raises HmuError with git's message."""
    base = workspace.baseline
    reference = f"refs/heads/{name}" if finish == "branch" else f"refs/exps/{base[:2]}/{base[2:]}/{name}"
    git(workspace.root, "push", "--quiet", "origin", f"{reference}:{reference}")
    return reference


def keep_report(workspace: Workspace, checkout: Path, finish: str, name: str) -> None:
    """Copy the report out of the worktree, and show where it is and how to restore the whole run."""
    page = workspace.root / paths.REPORTS / "index.html"
    if not page.exists():
        return
    kept = checkout / reports.FOLDER / name
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(page.parent, kept)
    back = f"dvc exp apply {name}" if finish == "experiment" else f"git switch {name} && dvc checkout"
    how = Ready(
        f"It is on the machine that ran the flow. {code(back)} in the checkout restores the whole run."
    )
    artifacts.leave_report(kept / page.name, how=how, link=reports.address(f"{name}/{page.name}"))


def show_report(root: Path) -> None:
    """Show where the report of a run in the checkout itself is."""
    page = root / paths.REPORTS / "index.html"
    if page.exists():
        link = reports.address(reports.show_checkout(root))
        artifacts.leave_report(
            page, how="Open it in a browser; it needs no server and no network.", link=link
        )


def leave(
    end: State[Any], workspace: Workspace, checkout: Path, finish: str, name: str, *, push: bool
) -> State[Any]:
    """Leave a run that has succeeded as an experiment or a branch; return its state.

    push: also send it to the git remote `origin`
    """
    save = save_experiment if finish == "experiment" else save_branch
    commit = save(workspace, name, f"{name}: {end.message}")
    keep_report(workspace, checkout, finish, name)
    get_run_logger().info("%s %s is commit %s", finish, name, commit[:12])
    if push:
        get_run_logger().info("sent to origin as %s", push_reference(workspace, finish, name))
    return Completed(message=f"{end.message}; {finish} {name}")
