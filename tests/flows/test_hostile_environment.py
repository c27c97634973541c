"""What clusters and containers vary, all of it at once: a step and a small pipeline run all the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_world import ROOT, tiny_params
from toy_project import STAGES, Project

RUN = sorted(stage.replace("@", "-") for stage in STAGES)
ANONYMOUS = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, str]:
    """No home, no language, a proxy that answers nothing, a long temporary folder with blanks and foreign letters."""
    scratch = tmp_path / ("zwischen räume " * 8).strip() / "tmp"
    scratch.mkdir(parents=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    found = {"PATH": path, "PYTHONPATH": str(ROOT), "LC_ALL": "POSIX", "TMPDIR": str(scratch)}
    return found | dict.fromkeys(("http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")


def anonymous() -> list[str]:
    """A prefix that gives a command a user id without a name, where the machine allows it."""
    if shutil.which("unshare") is None:
        return []
    done = subprocess.run([*ANONYMOUS, "true"], capture_output=True, check=False)
    return ANONYMOUS if done.returncode == 0 else []


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [*anonymous(), *command],
        cwd=folder,
        env=environment,
        umask=0o077,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_steps_run(hostile: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "プロジェクト mit leerzeichen"
    folder.mkdir()
    values = tiny_params().model_dump(mode="json", by_alias=True)
    (folder / "params.yaml").write_text(json.dumps(values), encoding="utf-8")
    said = run([sys.executable, "-m", "hmu_tasks", "ingest"], folder, hostile)
    assert "72 clips (train 40, val 16, test 16)" in said
    run([sys.executable, "-m", "hmu_tasks", "filter"], folder, hostile)
    lists = sorted(path.name for path in (folder / "data" / "split").iterdir())
    assert lists[:2] == ["filter.json", "test-forget.txt"]


def test_a_pipeline_runs_whose_files_are_from_the_future(project: Project, hostile: dict[str, str]) -> None:
    """The machine's clock is behind that of the file server, or has been put back."""
    ahead = 4e9
    for file in project.root.rglob("*"):
        if file.is_file() and ".git" not in file.parts:
            os.utime(file, (ahead, ahead))
    environment = hostile | {"TOY_SIDE": str(project.side)}
    command = [sys.executable, "-m", "flows.repro", "--jobs", "1"]
    run(command, project.root, environment)
    assert sorted(project.executed()) == RUN
    os.utime(project.root / "dvc.lock", (ahead, ahead))
    assert "up to date" in run(command, project.root, environment)
    assert sorted(project.executed()) == RUN
