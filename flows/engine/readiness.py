"""What can be known to be wrong before any stage runs: the folder and params.yaml."""

from pathlib import Path

from flows.engine.lockfile import read_entries
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import recover_below


def check_ready(root: Path) -> None:
    """Raise HmuError where nothing could run: a wrong folder, a broken dvc.lock, or parameters that the steps
    would refuse.
    """
    if not (root / "dvc.yaml").exists():
        raise HmuError(
            f"{root} holds no dvc.yaml; run this in the project's folder, the one with the Makefile"
        )
    if not (root / ".dvc").is_dir():
        raise HmuError(
            f"{root} holds no .dvc folder; restore it with `git checkout -- .dvc`, or clone or unpack the "
            "project again"
        )
    recover_below(root, paths.PARENTS)
    read_entries(root)
    if (root / "hmu_tasks").is_dir():
        from hmu_tasks.config.params import load

        load(root / "params.yaml")
