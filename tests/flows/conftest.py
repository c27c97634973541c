"""A small DVC project for each test, with a Prefect database that is made once."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from lab import DATABASE, Lab, clean_environment, copy_of
from made_once import made_once
from toy_project import GRAPH, PARAMS, STEP, Project


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect database with the deployments of prefect.yaml; each server that starts without one takes ten seconds
    of a core to make its own.
    """

    def make(folder: Path) -> None:
        first = Lab(folder)
        try:
            first.start_server()
            first.operate("deploy")
        finally:
            first.stop()
        with (
            closing(sqlite3.connect(folder / "prefect" / DATABASE)) as source,
            closing(sqlite3.connect(folder / DATABASE)) as target,
        ):
            source.backup(target)

    return made_once(tmp_path_factory, "prefect-database", make) / DATABASE


@pytest.fixture(scope="session")
def template(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "project"
    home = root / "runs" / "side" / "prefect"
    for folder in (root / "side", home):
        folder.mkdir(parents=True)
    shutil.copy2(database, home)
    files = {"step.py": STEP, "dvc.yaml": GRAPH.format(python=sys.executable), "params.yaml": PARAMS}
    files[".gitignore"] = "/side/\n/out/\n/reports/\n/runs/\n"
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.name", "toy"],
        ["git", "config", "user.email", "toy@localhost"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        [sys.executable, "-m", "dvc", "config", "core.analytics", "false"],
        ["git", "add", "--all"],
        ["git", "commit", "-q", "-m", "toy"],
    ):
        subprocess.run(command, cwd=root, check=True, env=clean_environment())
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Iterator[Project]:
    made = copy_of(template, tmp_path / "a project")
    yield made
    for process in made.processes():
        process.kill()
