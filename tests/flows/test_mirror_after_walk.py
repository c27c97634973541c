"""The mirror runs once after a walk; a store that cannot be reached is a warning."""

import sys
from pathlib import Path

import pytest

from flows import recording

TOLD = "import os, pathlib; pathlib.Path('told').write_text(os.environ['HMU_PIPELINE'])"


def test_the_mirror_learns_the_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MIRROR", [sys.executable, "-c", TOLD])
    assert recording.mirror(tmp_path, {}, "prefect-1") == ""
    assert (tmp_path / "told").read_text(encoding="utf-8") == "prefect-1"


def test_what_went_wrong_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MIRROR", [sys.executable, "-c", "raise SystemExit('error: no store')"])
    assert recording.mirror(tmp_path, {}, "prefect-1") == "error: no store"
