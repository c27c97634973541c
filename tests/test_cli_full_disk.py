"""The command line on real full disks: what was finished stays; no tracebacks."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import ROOT, change, contents, earlier, error, project, raw, run, started

__all__ = ["project", "raw"]


def larger(raw: Path) -> None:
    for file in (raw / "new_joint_vecs").iterdir():
        np.save(file, np.random.default_rng(1).normal(size=(190, 263)).astype(np.float32))


def test_a_file_size_limit_leaves_what_was_finished(raw: Path, project: Path) -> None:
    """`ulimit -f` stops a process from writing as a full disk does, everywhere and without privileges."""
    before = earlier(project)
    larger(raw)
    limit = ("sh", "-c", 'ulimit -f 600; exec "$@"', "sh")
    message = error(started(project, "ingest", through=limit))
    assert "the disk is full" in message
    assert "finished steps are kept" in message
    assert contents(project / "data" / "clips") == before
    assert sorted(path.name for path in (project / "data").iterdir()) == ["clips", "raw"]
    assert run(project, "ingest").returncode == 0


def mounts() -> bool:
    """Say whether a process may mount a small disk of its own here."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kib", [300, 2350, 2364])
def test_a_full_disk_leaves_what_was_finished(raw: Path, project: Path, kib: int) -> None:
    """`data/` is a real disk of a few hundred KiB that fills up at several points of the work."""
    if not mounts():
        pytest.skip("this machine lets no process mount a disk of its own")
    raw.rename(project / "raw")
    change(project, ingest__source="raw")
    larger(project / "raw")
    script = (
        f"mount -t tmpfs -o size={kib}k tmpfs data && mkdir data/clips && echo old > data/clips/old && "
        '"$@"; code=$?; cat data/clips/old; ls -A data; exit $code'
    )
    shell = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    done = started(project, "ingest", through=shell)
    assert done.stdout.splitlines() == ["old", "clips"], done.stderr
    assert "the disk is full" in error(done)


def test_weights_say_when_the_disk_is_full(tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from hmu_tasks.models.networks import weights\n"
        "import hmu_tasks.__main__ as main\n"
        "main.app = lambda: weights.save({'a': torch.zeros(500_000)}, {}, Path('folder'))\n"
        "main.main()\n"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    assert "the disk is full" in error(done)
    assert list((tmp_path / "folder").iterdir()) == []
