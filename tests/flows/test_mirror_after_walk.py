"""MLflow after a walk: the mirror runs once, with the key of the pipeline; a store out of reach is a warning."""

import logging
import sys
import threading
import time
from pathlib import Path

import pytest

from flows.engine import mirror
from flows.engine.slots import Slots
from flows.engine.walk import Walk

TOLD = "import os, pathlib; pathlib.Path('told').write_text(os.environ['HMU_PIPELINE'])"


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the flow run's log gets; there is no flow run here."""
    monkeypatch.setattr(mirror, "get_run_logger", lambda: logging.getLogger("mirror"))
    return caplog


def walk_in(root: Path) -> Walk:
    return Walk(root=root, stages=[], slots=Slots(1, []), pipeline="prefect-1")


def stand_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(mirror, "COMMAND", [sys.executable, "-c", code])


def test_the_command_is_the_step() -> None:
    assert [sys.executable, "-m", "hmu_tasks", "mirror"] == mirror.COMMAND


def test_the_mirror_learns_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    stand_in(monkeypatch, TOLD)
    mirror.mirror(walk_in(tmp_path))
    assert (tmp_path / "told").read_text(encoding="utf-8") == "prefect-1"
    assert warnings.records == []


def test_what_went_wrong_is_a_warning_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    stand_in(monkeypatch, "raise SystemExit('error: no store at http://ann:secret@host')")
    mirror.mirror(walk_in(tmp_path))
    (record,) = warnings.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "MLflow was not updated: error: no store at http://***@host"


def test_a_stopped_walk_is_not_mirrored_and_an_interrupted_mirror_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    stand_in(monkeypatch, "import time; time.sleep(300)")
    walk = walk_in(tmp_path)
    stopper = threading.Timer(1.0, walk.processes.stop)
    stopper.start()
    began = time.monotonic()
    mirror.mirror(walk)
    assert time.monotonic() - began < 60
    stopper.join()
    stand_in(monkeypatch, TOLD)
    mirror.mirror(walk)
    assert not (tmp_path / "told").exists()
