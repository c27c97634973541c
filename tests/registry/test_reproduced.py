"""DVC's record is asked by content: every change behind its back is refused with the file named."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc_project import made_by_dvc

from hmu_tasks.registry.reproduced import check_reproduced
from hmu_tasks.runtime.errors import DataError


@pytest.fixture(scope="module")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_by_dvc(tmp_path_factory.mktemp("dvc"))


@pytest.fixture
def project(finished_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "project"
    shutil.copytree(finished_project, root)
    check_reproduced(root, ["report"])  # fills DVC's memory of hashes, if it had one here
    return root


def edit(path: Path, before: str, after: str) -> None:
    """Change a file and keep its size and time, as somebody does who wants DVC not to look."""
    stat = path.stat()
    path.chmod(0o644)
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def flip_in_cache(root: Path, content: str) -> None:
    for path in (root / ".dvc" / "cache" / "files" / "md5").rglob("*"):
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            path.chmod(0o644)
            path.write_text(content[:-1] + "?", encoding="utf-8")
            path.chmod(0o444)
            return
    raise AssertionError(content)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


CHANGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("an output", lambda r: edit(r / "runs/probe/probe.json", "67", "42"), r"runs/probe/probe\.json is not the file"),
    ("an output before", lambda r: edit(r / "data/clips.txt", "clips", "clits"), r"data/clips\.txt is not what"),
    ("a file more", lambda r: (r / "runs/probe/more.json").touch(), r"runs/probe/more\.json is not the file"),
    ("a file less", lambda r: (r / "runs/probe/probe.json").unlink(), r"runs/probe/probe\.json is not the file"),
    ("no output", lambda r: shutil.rmtree(r / "runs/probe"), "runs/probe is missing"),
    ("the code", lambda r: edit(r / "code/probe.py", "0.67", "0.42"), r"code(/probe\.py)? is not what"),
    ("a parameter", lambda r: edit(r / "params.yaml", "rate: 1", "rate: 2"), r"other parameters in params\.yaml: rate"),
    ("a command", lambda r: edit(r / "dvc.yaml", "probe.py probe", "probe.py other"), "the command of stage probe"),
    ("a dependency", lambda r: edit(r / "dvc.yaml", "clips.txt, code]", "clips.txt]"), "other deps in .*: code"),
    ("frozen", lambda r: edit(r / "dvc.yaml", "  probe:\n", "  probe:\n    frozen: true\n"), "stage probe is frozen"),
    ("the cache", lambda r: flip_in_cache(r, '{"upper": 0.67}'), r"cached copy of runs/probe/probe\.json, is damaged"),
    ("no lock", lambda r: (r / "dvc.lock").unlink(), r"dvc\.lock is missing"),
    ("an empty lock", lambda r: cut(r / "dvc.lock", 0), r"dvc\.lock is empty"),
    ("a cut lock", lambda r: cut(r / "dvc.lock", 150), r"dvc\.lock"),
    ("a conflicted lock", lambda r: (r / "dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n"), r"dvc\.lock"),
    ("no stages", lambda r: (r / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n"), "no entry for stage"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [one[1:] for one in CHANGES], ids=[one[0] for one in CHANGES])
def test_what_is_not_the_record_is_named(project: Path, change: Callable[[Path], object], words: str) -> None:
    change(project)
    with pytest.raises(DataError) as caught:
        check_reproduced(project, ["report"])
    assert re.search(words, str(caught.value)), str(caught.value)
    assert "--not-reproduced" in str(caught.value)


def test_dvcs_own_status_is_not_enough(project: Path) -> None:
    """A file of the same size and time: the reason why contents are hashed here."""
    subprocess.run([sys.executable, "-m", "dvc", "status", "-q"], cwd=project, check=True)  # it remembers
    edit(project / "runs/probe/probe.json", "67", "42")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "up to date" in done.stdout
    with pytest.raises(DataError, match=r"probe\.json is not the file"):
        check_reproduced(project, ["report"])


def test_later_stages_do_not_count(project: Path) -> None:
    edit(project / "reports/index.html", "page", "pane")
    check_reproduced(project, ["probe"])
    with pytest.raises(DataError, match=r"reports/index\.html is not the file"):
        check_reproduced(project, ["report"])


def test_an_emptied_cache_is_no_fault(project: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    check_reproduced(project, ["report"])


def test_without_dvc_the_flag_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not inside of a DVC repository.*--not-reproduced"):
        check_reproduced(tmp_path, ["report"])


def test_a_run_at_work_is_told(project: Path) -> None:
    from dvc.repo import Repo

    with Repo(str(project)) as other, other.lock, pytest.raises(DataError, match="DVC is at work"):
        check_reproduced(project, ["report"])
