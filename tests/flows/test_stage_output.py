"""What a stage prints: lines, bars and secrets; and the form of a run."""

import os
import sys
from pathlib import Path

import pytest
from toy_project import Project

from flows.engine import process
from flows.engine.process import Console, Processes, StageResult, output_lines, run_stage
from flows.engine.redaction import redactor
from flows.server.form import AS_COMMITTED, changes
from hmu_tasks.runtime.errors import HmuError


def read(*blocks: bytes) -> list[tuple[str, bool]]:
    """Lines of a pipe that is written block by block, each read before the next is there."""
    reader, writer = os.pipe()
    found = []
    with os.fdopen(reader, "rb") as stream:
        lines = output_lines(stream)
        os.write(writer, b"".join(blocks))
        os.close(writer)
        found = list(lines)
    return found


def test_lines_and_bars() -> None:
    assert read(b"one\ntwo\r\n", b"\n  \nthree") == [
        ("one", True),
        ("two", True),
        ("three", False),
        ("three", True),
    ]
    assert read(b"\rtrain:  10%|# \rtrain:  50%|###  ") == [
        ("train:  50%|###", False),
        ("train:  50%|###", True),
    ]
    assert read(b"a: 1%|\ra: 2%|\n") == [("a: 2%|", True)]
    assert read(b"caf\xff\n") == [("caf�", True)]
    assert read(b"") == []


def test_the_state_of_a_bar_goes_to_the_progress(project: Project) -> None:
    shown: list[tuple[str, int]] = []
    lines: list[str] = []
    console = Console(log=lines.append, progress=lambda label, percent: shown.append((label, percent)))
    outcome = run_stage(
        "train@a",
        root=project.root,
        force=False,
        environment=project.environment | {"TOY_PASSWORD": "tulip-garden"},
        processes=Processes(),
        console=console,
    )
    assert outcome.status != 0  # `prepare` has not run
    project.dvc("repro", "-q", "prepare")
    outcome = run_stage(
        "train@a",
        root=project.root,
        force=False,
        environment=project.environment | {"TOY_PASSWORD": "tulip-garden"},
        processes=Processes(),
        console=console,
    )
    assert (outcome.status, outcome.executed) == (0, True)
    assert shown[-1] == ("train-a", 80)
    assert "Running stage 'train@a':" in lines
    assert "password is ***" in lines
    assert not any("dvc push" in line for line in lines)


def test_stages_get_huge_pages_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> str:
        code = "import os; print(os.environ['GLIBC_TUNABLES'])"
        process = Processes().start([sys.executable, "-c", code], root=tmp_path, environment={})
        assert process is not None
        return process.communicate(timeout=60)[0].decode().strip()

    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert seen() == "glibc.malloc.hugetlb=1"
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    assert seen() == "glibc.malloc.hugetlb=0"


def test_secrets_are_blotted_out() -> None:
    redact = redactor(
        {
            "DB_PASSWORD": "tulip-garden",
            "PREFECT_AUTH": "anna:longsecret",
            "HOME": "/home/anna",
            "TOKEN": "on",
        }
    )
    assert redact("tulip-garden and longsecret for anna on") == "*** and *** for anna on"
    assert redact("postgresql://hmu:pass@host/db") == "postgresql://***@host/db"
    assert redact("https://example.org/a:b@c") == "https://example.org/a:b@c"


def test_the_form_changes_only_what_is_filled_in() -> None:
    empty = {
        "concept": "",
        "dataset": AS_COMMITTED,
        "models": [],
        "methods": [],
        "seeds": [],
        "overrides": {},
    }
    assert changes(**empty) == {}
    filled = empty | {"concept": "wave", "methods": ["lcr"], "seeds": [7], "overrides": {"run.track": False}}
    assert changes(**filled) == {
        "run.concept": "wave",
        "run.methods": ["lcr"],
        "run.seed": 7,
        "run.track": False,
    }
    with pytest.raises(HmuError, match=r"run\.seed is given twice: 7 and, in the overrides, 8"):
        changes(**(filled | {"overrides": {"run.seed": 8}}))


@pytest.mark.parametrize(
    ("ends", "status", "runs"),
    [([139, 0], 0, 2), ([134, 1], 1, 2), ([139, 139], 139, 2), ([255], 255, 1), ([143], 143, 1), ([0], 0, 1)],
)
def test_a_crash_of_dvc_itself_is_retried_once(
    ends: list[int], status: int, runs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """139 and 134: a segmentation fault and an abort; 143: stopped; 255: a stage has failed."""
    asked: list[list[str]] = []

    def run_dvc(arguments: list[str], **_: object) -> StageResult:
        asked.append(arguments)
        return StageResult(ends[len(asked) - 1], executed=False, last_lines=())

    monkeypatch.setattr(process, "run_dvc", run_dvc)
    lines: list[str] = []
    found = run_stage(
        "train",
        root=tmp_path,
        force=False,
        environment={},
        processes=Processes(),
        console=Console(log=lines.append),
    )
    assert (found.status, len(asked)) == (status, runs)
    assert ("DVC crashed (signal" in str(lines)) is (runs == 2)
