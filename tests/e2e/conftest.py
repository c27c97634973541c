"""The undisturbed run that the end-to-end tests share."""

import time
from pathlib import Path

import pytest
from project_copy import Finished, Project, make_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One undisturbed run; tests that change anything work on a `branch` of it."""
    project = make_project(tmp_path_factory.mktemp("undisturbed") / "project")
    started = time.monotonic()
    output = project.good("make", "repro")
    return Finished(project, output, time.monotonic() - started, project.digests())


@pytest.fixture
def branch(finished: Finished, tmp_path: Path) -> Project:
    """A copy of the undisturbed run, to be changed."""
    return finished.project.branch(tmp_path / "branch")
