"""HumanML3D's raw folder, as its authors' scripts write it: new_joint_vecs/ID.npy, texts/ID.txt, split lists.

A folder with AMASS and HumanML3D's index.csv is converted to that first.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from hmu_tasks.data.datasets import Dataset
from hmu_tasks.runtime.errors import DataError

if TYPE_CHECKING:
    from hmu_tasks.data.datasets.raw import Source

DATASET = Dataset(
    name="humanml3d",
    finder="hmu_tasks.data.datasets.humanml3d:find",
    converter="hmu_tasks.data.datasets.amass.writer:convert_folder",
)


def find(folder: Path) -> "Source":
    """Locate motions and texts; raises DataError if the folder or part of it is missing.

    `new_joints`, `train_val.txt` and `all.txt` are not needed and not read.
    """
    from hmu_tasks.data.datasets.raw import Source

    motions, texts = parts(folder, "HumanML3D", ", or AMASS with HumanML3D's index.csv")
    return Source(folder, motions, texts, widths={251: "KIT-ML's features; set run.dataset: kitml"})


def parts(folder: Path, name: str, or_else: str = "") -> tuple[Path, Path]:
    """Return new_joint_vecs and texts of a folder in HumanML3D's layout; raises DataError naming what is missing.

    or_else: what else the folder may hold, for the message.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a directory; set ingest.source to the folder of {name} (see docs/data.md)"
        )
    for part in ("new_joint_vecs", "texts"):
        if not (folder / part).is_dir():
            raise DataError(
                f"{folder / part} is missing; {name} needs new_joint_vecs, texts and the split lists{or_else} "
                "(see docs/data.md)"
            )
    return folder / "new_joint_vecs", folder / "texts"
