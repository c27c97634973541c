"""A run killed with SIGKILL and started again ends with the bytes of an undisturbed run."""

from pathlib import Path

import pytest
from project_copy import Finished, executed, make_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_four_kills_change_no_byte_and_leave_nothing(finished: Finished, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", source=finished.project.root)
    root = project.root
    clips, tokenizer = root / "data" / "clips", root / "runs" / "train" / "0" / "tokenizer-full"
    original = root / "runs" / "evaluate" / "0" / "momask" / "original"

    # While ingest writes: its half-written folder stays, nothing looks finished.
    project.kill_when(lambda: any(clips.parent.glob(".clips.*/features.npy")), "dvc", "repro")
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

    # In evaluation, between two drawings of codes.
    known = set((root / "runs" / "side" / "cache").glob("codes-*"))
    output = project.kill_when(
        lambda: (
            any(original.parent.glob(".original.*"))
            and len(set((root / "runs" / "side" / "cache").glob("codes-*.safetensors")) - known) >= 2
        ),
        "dvc",
        "repro",
    )
    assert "ingest" not in executed(output)
    assert "train tokenizer full" in output
    assert not original.exists()

    # With stages side by side, below the flow and its own server.
    known = set(original.parent.glob(".*"))
    project.kill_when(lambda: bool(set(original.parent.glob(".*")) - known), "make", "repro", "JOBS=2")
    assert not original.exists()

    project.good("make", "repro")
    assert project.digests() == finished.digests
    assert project.temporary() == []
    assert executed(project.good("dvc", "repro")) == []
