"""A run killed with SIGKILL and started again, once even twice at a time, ends with the bytes of an undisturbed run."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from project_copy import Finished, Project, executed, make_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PREFECT = Path("runs", "side", "prefect")


def gives_way(project: Project, first: "subprocess.Popen[str]", at_work: Callable[[], bool]) -> None:
    """While one `make repro` is at work, a second one says so and ends."""
    while not at_work():
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.05)
    started = time.monotonic()
    status, output = project.run("make", "repro", seconds=60)
    assert status != 0
    said = [line for line in output.splitlines() if not line.startswith("make")]
    assert said == ["another make is already at work in this folder; wait for it to end"]
    assert time.monotonic() - started < 20
    assert first.poll() is None


def test_three_kills_and_a_second_make_change_no_byte_and_leave_nothing(
    finished: Finished, tmp_path: Path
) -> None:
    """Outputs of the same parameters in another folder: every byte is equal."""
    project = make_project(tmp_path / "project", source=finished.project.root)
    root = project.root
    clips, tokenizer = root / "data" / "clips", root / "runs" / "train" / "0" / "tokenizer-full"
    original = root / "runs" / "evaluate" / "0" / "momask" / "original"

    # While ingest writes: its half-written folder stays, nothing looks finished.
    project.kill_when(lambda: any(clips.parent.glob(".clips.*/features.npy")), "dvc", "repro", every=0.002)
    assert not clips.exists()
    assert project.temporary() != []

    # In training, behind a checkpoint.
    output = project.kill_when(
        lambda: any((root / "runs" / "side" / "scratch").glob("tokenizer-full-*/checkpoint.pt")),
        "dvc",
        "repro",
    )
    assert "ingest" in executed(output)
    assert not tokenizer.exists()

    # In evaluation, between two drawings of codes, with stages side by side below the flow and its own server, whose
    # database need not be made again.
    shutil.copytree(finished.project.root / PREFECT, root / PREFECT)
    known = set((root / "runs" / "side" / "cache").glob("codes-*"))
    output = project.kill_when(
        lambda: (
            any(original.parent.glob(".original.*"))
            and len(set((root / "runs" / "side" / "cache").glob("codes-*.safetensors")) - known) >= 2
        ),
        "make",
        "repro",
        "JOBS=2",
    )
    assert "ingest" not in executed(output)
    assert "train-tokenizer@full-0" in executed(output)
    assert not original.exists()

    known = set(original.parent.glob(".*"))
    last = project.start("make", "repro")
    gives_way(project, last, lambda: original.exists() or bool(set(original.parent.glob(".*")) - known))
    output, _ = last.communicate(timeout=1500)
    assert last.returncode == 0, output[-6000:]
    assert project.digests() == finished.digests
    assert project.temporary() == []
    assert executed(project.good("dvc", "repro")) == []
