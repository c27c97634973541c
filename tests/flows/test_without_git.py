"""A project that is no git repository, such as an unpacked archive."""

import subprocess
import sys
from pathlib import Path

from flows.engine.graph import manage_without_git, read_stages


def test_dvc_works_without_git_until_there_is_a_repository(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=root, check=True)
    (root / ".dvc" / "config").write_text("")  # as a project has it that is developed with git
    (root / "dvc.yaml").write_text("stages:\n  one:\n    cmd: echo 1 > one.txt\n    outs: [one.txt]\n")
    assert [stage.name for stage in read_stages(root)] == ["one"]
    assert "no_scm = true" in (root / ".dvc" / "config.local").read_text()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=root, check=True)
    assert (root / "one.txt").read_text() == "1\n"
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    assert not manage_without_git(root)
    assert "no_scm" not in (root / ".dvc" / "config.local").read_text()
    assert [stage.name for stage in read_stages(root)] == ["one"]
