"""A small DVC project for each test; one real Prefect server, and two workers on two clones, for all of them."""

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


LABS: list[Lab] = []


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Servers and workers, which poll every second, end with the tests of this folder."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        for made in LABS:
            made.stop()


@pytest.fixture
def lab(deployed: Lab) -> Lab:
    """A Prefect server with the deployments of prefect.yaml, without workers."""
    if deployed.server is None:  # tests of another folder came between
        deployed.start_server()
    return deployed


@pytest.fixture(scope="session")
def deployed(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server that all tests share."""
    home = tmp_path_factory.mktemp("lab")
    (home / "prefect").mkdir()
    shutil.copy2(database, home / "prefect")
    polls_often = {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "5",
        "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
    }
    made = Lab(home, variables=polls_often | {"HMU_SCRATCH": str(home / "scratch")})
    try:
        made.start_server()
        LABS.append(made)
        yield made
    finally:
        made.stop()


@pytest.fixture
def prefect_api(lab: Lab) -> str:
    """Address of the server."""
    return lab.url


@pytest.fixture(scope="session")
def clones(template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """Two clones of the toy project, with a folder as DVC remote."""
    folder = tmp_path_factory.mktemp("clones")
    first = copy_of(template, folder / "first")
    first.dvc("remote", "add", "--default", "shared", str(folder / "remote"))
    first.git("commit", "-q", "--all", "-m", "remote")
    return first, first.clone(folder / "second")


@pytest.fixture
def machines(lab: Lab, clones: tuple[Project, Project]) -> Iterator[tuple[Project, Project]]:
    """The two clones without traces of the test before; a worker of the pool cpu on the first, of gpu on the second."""
    first, second = clones
    first.clear()
    first.git("clean", "-q", "--force", "-d", "-x", "--exclude=/side", "--exclude=/.dvc", "--exclude=/runs")
    if "cpu" not in lab.workers:
        lab.start_worker("cpu", "cpu", first)
    if "gpu" not in lab.workers:
        lab.start_worker("gpu", "gpu", second, limit=2, CUDA_VISIBLE_DEVICES="2,5")
    yield first, second
    first.clear()
