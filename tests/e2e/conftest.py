"""The undisturbed run that the end-to-end tests share."""

import json
import time
from pathlib import Path

import pytest
from made_once import made_once
from project_copy import Finished, Project, make_project


def run_undisturbed(folder: Path) -> None:
    project = make_project(folder / "project")
    started = time.monotonic()
    output = project.good("make", "repro")
    told = {"output": output, "seconds": time.monotonic() - started, "digests": project.digests()}
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One undisturbed run; tests that change anything work on a `branch` of it."""
    folder = made_once(tmp_path_factory, "undisturbed", run_undisturbed)
    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    return Finished(Project(folder / "project"), **told)


@pytest.fixture
def branch(finished: Finished, tmp_path: Path) -> Project:
    """A copy of the undisturbed run, to be changed."""
    return finished.project.branch(tmp_path / "branch")
