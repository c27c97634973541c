"""Two `make repro` in one folder: one works, the other says so and ends."""

import time

import pytest
from project_copy import Finished, make_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_the_second_gives_way_and_the_first_ends_as_one_alone(
    finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The first is the second undisturbed run of the same parameters, in another folder: every byte is equal."""
    project = make_project(tmp_path_factory.mktemp("two") / "project", source=finished.project.root)
    first = project.start("make", "repro")
    clips = project.root / "data" / "raw"
    while not clips.exists():
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.05)
    started = time.monotonic()
    status, output = project.run("make", "repro", seconds=60)
    assert status != 0
    said = [line for line in output.splitlines() if not line.startswith("make")]
    assert said == ["another make is already at work in this folder; wait for it to end"]
    assert time.monotonic() - started < 20
    assert first.poll() is None
    output, _ = first.communicate(timeout=1500)
    assert first.returncode == 0, output[-6000:]
    assert project.digests() == finished.digests
    assert project.temporary() == []
