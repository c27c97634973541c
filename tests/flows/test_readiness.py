"""What is wrong before any stage runs is told with a remedy."""

from pathlib import Path

import pytest

from flows.engine.readiness import check_ready
from hmu_tasks.runtime.errors import ConfigError, HmuError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which everything is ready."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "hmu_tasks").mkdir()
    (tmp_path / "params.yaml").write_text(
        (ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    return tmp_path


def test_a_ready_project_passes(project: Path) -> None:
    check_ready(project)


@pytest.mark.parametrize(
    ("name", "words"), [("dvc.yaml", "in the project's folder"), (".dvc", "git checkout -- .dvc")]
)
def test_what_is_missing_is_named(project: Path, name: str, words: str) -> None:
    place = project / name
    place.rmdir() if place.is_dir() else place.unlink()
    with pytest.raises(HmuError, match=words):
        check_ready(project)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("methods: [lcr,", "methods: [lcrr,", "run.methods is lcrr.*name one or more of"),
        ("run:\n", "run: [\n", "not valid YAML.*line"),
        ("seed: 10107", "sead: 10107", "unknown key; allowed here"),
    ],
)
def test_parameters_are_checked_with_file_and_place(
    project: Path, before: str, after: str, words: str
) -> None:
    file = project / "params.yaml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"(?s){words}"):
        check_ready(project)
