"""Raw data tracked with `dvc add`: every DVC command must see it, or checkout and gc would delete it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from forked import run_forked
from modules import ROOT
from raw_folder import add, read

from hmu_tasks.runtime.errors import DataError

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "hmu_tasks" / "__main__.py"])


def documented() -> list[str]:
    """All folders that the documentation tells the user to `dvc add`."""
    found: set[str] = set()
    for page in PAGES:
        for arguments in re.findall(r"dvc add ((?:data/[\w./-]+ ?)+)", page.read_text(encoding="utf-8")):
            found |= set(arguments.split())
    return sorted(found)


def run(folder: Path, *command: str) -> str:
    """Run git or this environment's dvc in a folder; returns its output."""
    if command[0] == "dvc":
        import dvc.cli.parser
        import dvc.repo  # noqa: F401

        done = run_forked(folder, list(command[1:]), os.environ, module="dvc")
    else:
        done = subprocess.run(list(command), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".dvc"
    }


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this project's git and DVC ignore rules, and the documented raw folders added and pushed."""
    place = tmp_path_factory.mktemp("pushed")
    folder = place / "project"
    (folder / ".dvc").mkdir(parents=True)
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "git", "config", "user.name", "t")
    run(folder, "git", "config", "user.email", "t@localhost")
    run(folder, "dvc", "remote", "add", "--default", "shared", str(place / "remote"))
    for number, place in enumerate(documented()):
        (folder / place / "texts").mkdir(parents=True)
        (folder / place / "train.txt").write_text(f"{number:06d}\n", encoding="utf-8")
        (folder / place / "texts" / "a.txt").write_text(f"caption {number}\n", encoding="utf-8")
    run(folder, "dvc", "add", *documented())
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "raw data")
    run(folder, "dvc", "push")
    return folder


@pytest.fixture
def project(pushed: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(pushed, tmp_path / "project", symlinks=True))


def test_pages_name_the_folders_of_every_dataset_and_checkpoint() -> None:
    assert {
        "data/raw/humanml3d",
        "data/raw/mocap",
        "data/raw/checkpoints",
        "data/raw/clip-vit-base-patch32",
    } <= set(documented())


def test_git_holds_the_records_and_no_data(project: Path) -> None:
    held = run(project, "git", "ls-files", "data").split()
    assert held == sorted(f"{place}.dvc" for place in documented())


def test_a_second_clone_pulls_what_was_pushed(project: Path, tmp_path: Path) -> None:
    run(tmp_path, "git", "clone", "--quiet", str(project), "second")
    run(tmp_path / "second", "dvc", "pull")
    assert files(tmp_path / "second" / "data") == files(project / "data")
    assert "up to date" in run(tmp_path / "second", "dvc", "status")


def test_status_names_what_changed(project: Path) -> None:
    assert "up to date" in run(project, "dvc", "status")
    for place in documented():
        (project / place / "train.txt").write_text("changed\n", encoding="utf-8")
    told = run(project, "dvc", "status")
    assert [place for place in documented() if f"{place}.dvc" not in told] == []


def test_checkout_and_gc_lose_nothing(project: Path) -> None:
    before = files(project / "data")
    assert len(before) == 2 * len(documented())
    run(project, "dvc", "checkout")
    assert files(project / "data") == before
    run(project, "dvc", "gc", "--workspace", "--force")
    shutil.rmtree(project / "data" / "raw" / "humanml3d")
    run(project, "dvc", "checkout")
    assert files(project / "data") == before


@pytest.mark.parametrize("elsewhere", [False, True])
def test_links_that_dvc_puts_into_a_raw_folder_are_read(tmp_path: Path, elsewhere: bool) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "dvc", "init", "--quiet")
    run(folder, "dvc", "config", "--local", "cache.type", "symlink")
    if elsewhere:
        run(folder, "dvc", "cache", "dir", "--local", str(tmp_path / "big disk" / "cache"))
    raw = folder / "data" / "raw"
    for part in ("new_joint_vecs", "texts"):
        (raw / part).mkdir(parents=True)
    for split in ("train", "val", "test"):
        (raw / f"{split}.txt").touch()
    add(raw, "000001")
    run(folder, "dvc", "add", "data/raw")
    assert (raw / "new_joint_vecs" / "000001.npy").is_symlink()
    clips, skipped, _ = read(raw)
    assert [clip.clip_id for clip in clips] == ["000001"]
    assert skipped == []
    content = (raw / "new_joint_vecs" / "000001.npy").read_bytes()
    # Another place with such a name, and another file of the cache's folder, are no cache of this project.
    for target in (tmp_path / "files/md5/aa" / ("b" * 30), folder / ".dvc" / "cache" / "secret"):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        (raw / "new_joint_vecs" / "000001.npy").unlink()
        (raw / "new_joint_vecs" / "000001.npy").symlink_to(target)
        with pytest.raises(DataError, match="leads out of its folder"):
            read(raw, on_bad="skip")
