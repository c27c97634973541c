"""Two runs that share a cache and come to the same stage at the same moment."""

import sys
from pathlib import Path

import pytest
from toy_project import Project

from flows.engine import process
from flows.engine.process import Console, Processes, StageResult, run_stage

# DVC at the moment when another run does its part: once, an entry of the run cache is gone as soon as it is written
# (`written`), or as soon as it was found to be incomplete (`read`).
MEETING = """
import os, sys
from dvc.utils import serialize
write, read, meets = serialize.dump_yaml, serialize.load_yaml, os.environ["TOY_MEETS"]
flag = os.path.join(os.environ["TOY_SIDE"], "met")
def gone(path):
    if not os.path.exists(flag):
        open(flag, "w").close()
        os.unlink(path)
def dump_yaml(path, data, **more):
    write(path, data, **more)
    if meets == "written" and os.sep + "runs" + os.sep in str(path):
        gone(path)
def load_yaml(path, **more):
    try:
        return read(path, **more)
    except serialize.YAMLFileCorruptedError:
        if meets == "read":
            gone(path)
        raise
serialize.dump_yaml, serialize.load_yaml = dump_yaml, load_yaml
from dvc.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(project: Project, meets: str, lines: list[str]) -> StageResult:
    return run_stage(
        "prepare",
        root=project.root,
        force=False,
        environment=project.environment | {"TOY_MEETS": meets},
        processes=Processes(),
        console=Console(log=lines.append),
    )


@pytest.fixture(autouse=True)
def meeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "meeting.py"
    program.write_text(MEETING, encoding="utf-8")
    monkeypatch.setattr(process, "DVC", [sys.executable, str(program)])


def forget(project: Project) -> None:
    """Leave nothing of the stage but what is in the cache."""
    (project.root / "dvc.lock").unlink()
    (project.root / "out" / "prepare").unlink()


def test_what_a_stage_made_is_kept_when_its_entry_was_removed(project: Project) -> None:
    lines: list[str] = []
    found = run(project, "written", lines)
    assert (found.status, found.executed) == (0, True), lines
    assert sum("ERROR: failed to reproduce 'prepare'" in line for line in lines) == 1
    assert "DVC met another run of this stage in its run cache; committing what the stage made" in lines
    assert project.dvc("status", "--json", "prepare").strip() == "{}"
    forget(project)
    assert "Stage 'prepare' is cached - skipping run" in project.dvc("repro", "prepare")
    assert project.executed() == ["prepare"]


def test_a_stage_that_met_an_entry_on_its_way_takes_the_result(project: Project) -> None:
    project.dvc("repro", "-q", "prepare")
    forget(project)
    (entry,) = (project.root / ".dvc" / "cache" / "runs").glob("*/*/*")
    (entry.parent / ".unfinished.tmp").write_text("cmd: {", encoding="utf-8")
    lines: list[str] = []
    found = run(project, "read", lines)
    assert (found.status, found.executed) == (0, False), lines
    assert "DVC met another run of this stage in its run cache; retrying once" in lines
    assert (project.root / "out" / "prepare").read_text() == "prepare"
    assert project.executed() == ["prepare"]


def test_a_file_that_a_stage_misses_is_no_such_meeting(project: Project) -> None:
    step = project.root / "step.py"
    step.write_text("open('out/runs/.lost.tmp')", encoding="utf-8")
    lines: list[str] = []
    found = run(project, "never", lines)
    assert found.status != 0
    assert any("No such file or directory: 'out/runs/.lost.tmp'" in line for line in lines)
    assert not any("met another run" in line for line in lines)
