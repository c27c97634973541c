"""A store of its own for tests of promotion, and what its commands say."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from registered_world import NAME
from typer.testing import CliRunner

from hmu_tasks.registry import commands, promote
from hmu_tasks.registry.versions import Registry
from hmu_tasks.runtime.errors import HmuError

CHAMPION_ADDRESS = f"models:/{NAME}@champion"


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def faults_of(address: str = CHAMPION_ADDRESS) -> str:
    """What `verify` complains about; empty if nothing."""
    done = CliRunner().invoke(commands.app, ["verify", address])
    if done.exception is None or isinstance(done.exception, SystemExit):
        assert done.exit_code == 0, done.output
        return ""
    assert isinstance(done.exception, HmuError), done.exception
    return str(done.exception)


def told_by_moves(registry: Registry, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    promote.report_moves(registry)
    return capsys.readouterr().out


def files_of(registry: Registry, number: int) -> Path:
    """The version's files in the store of this machine."""
    run = registry.version(number).run_id
    return registry.root.resolve() / "runs" / "side" / "mlflow" / "artifacts" / run / "artifacts"


@contextmanager
def other_content(file: Path, content: str) -> Iterator[None]:
    before = file.read_bytes()
    file.write_text(content, encoding="utf-8")
    try:
        yield
    finally:
        file.write_bytes(before)
