"""What `make repro` runs: stages in parallel, or plain DVC if that is the same."""

import logging
import os
import shutil
import signal
import time

import pytest
from lab import DATABASE
from toy_project import STAGES, Project

from flows.engine import terminal
from flows.engine.graph import Stage, is_chain
from flows.pipeline import _is_news
from flows.repro import default_jobs

DIAMOND = [Stage("a", ()), Stage("b", ("a",)), Stage("c", ("a",)), Stage("d", ("b", "c"))]


def repro(project: Project, *arguments: str) -> tuple[int, str]:
    process = project.start("flows.repro", *arguments)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def interrupt(project: Project, *, stages: int) -> None:
    """Start `make repro`'s command and press Ctrl-C, which goes to the whole process group, once some stages began."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    process = project.start("flows.repro", "--jobs", "2", group=True)
    signal.signal(signal.SIGINT, before)
    while len(project.log()) < stages:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert output.splitlines()[-1] == terminal.STOPPED
    assert "Traceback" not in output
    assert project.processes() == []


@pytest.mark.parametrize(
    ("changed", "chain"),
    [("abd", True), ("ad", True), ("d", True), ("", True), ("bc", False), ("abcd", False)],
)
def test_what_can_only_run_one_after_the_other(changed: str, *, chain: bool) -> None:
    assert is_chain(DIAMOND, set(changed)) is chain


def test_a_stage_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HMU_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0))
    assert 1 <= default_jobs() <= cores
    monkeypatch.setenv("HMU_THREADS", str(cores))
    assert default_jobs() == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Still processing items: 1 items remaining...", False),
        ("Finished in state Failed('1 of 6 stages failed')", False),
        ("Crash detected! Execution was aborted by an interrupt signal.", False),
        ("the checkout has uncommitted changes", True),
    ],
)
def test_how_prefect_ends_is_no_news(text: str, *, shown: bool) -> None:
    record = logging.LogRecord("prefect", logging.WARNING, "", 0, text, None, None)
    assert _is_news(record) is shown


@pytest.mark.slow
def test_interrupted_gone_on_with_and_nothing_left_to_do(project: Project) -> None:
    """In an unpacked archive without git, which makes no difference to any of it."""
    shutil.rmtree(project.root / ".git")
    project.flag("slow", "300")
    interrupt(project, stages=3)

    (project.side / "slow").unlink()
    project.flag("fail-unlearn-b")
    status, output = repro(project, "--jobs", "2")
    assert status == 1
    for said in (
        "Running stage 'train@a'\n",
        "train@a | password is none\n",
        "train@b done in ",
        "unlearn@b FAILED",
    ):
        assert said in output
    assert "unlearn@b FAILED after" in output
    assert "\n  unlearn-b is broken on purpose\n" in output
    assert output.endswith("\n1 of 6 stages failed: unlearn@b; 1 not started as a result\n")
    assert project.processes() == []

    (project.side / "fail-unlearn-b").unlink()
    project.forget_log()
    status, output = repro(project, "--jobs", "2")  # what is left is a chain
    assert status == 0, output
    assert project.executed() == ["unlearn-b", "report"]
    assert "password is none\nUpdating lock file" in output.replace("\r", "")
    assert repro(project) == (0, "Data and pipelines are up to date.\n")
    assert project.dvc("status", "--json").strip() == "{}"


def test_one_job_is_dvc_alone(project: Project) -> None:
    status, output = repro(project, "--jobs", "1")
    assert status == 0, output
    assert sorted(project.executed()) == sorted(name.replace("@", "-") for name in STAGES)
    home = project.root / "runs" / "side" / "prefect"
    assert [path.name for path in home.iterdir()] == [DATABASE]  # no server was started
