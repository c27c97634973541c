"""One real Prefect server, and two workers on two clones, for all tests of this folder.

They run in one process, one after the other: no other starts a server and workers too, which cost ten seconds of a core
and some hundredths of it for as long as they are there.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, copy_of
from toy_project import Project

LABS: list[Lab] = []


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Server and workers, which poll every second, end with the tests of this folder."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        for made in LABS:
            made.stop()


@pytest.fixture(scope="session")
def lab(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A Prefect server with the deployments of prefect.yaml, without workers."""
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
