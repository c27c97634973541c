"""KIT-ML in HumanML3D's folder layout: 251 features of 21 joints at 12.5 frames per second.

Plappert et al. 2016, prepared by Guo et al. 2022. Clips have 24 to 199 frames (released MoMask code,
data/t2m_dataset.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from hmu_tasks.data.datasets import Dataset
from hmu_tasks.data.datasets.humanml3d import parts

if TYPE_CHECKING:
    from hmu_tasks.data.datasets.raw import Source

DATASET = Dataset(name="kitml", finder="hmu_tasks.data.datasets.kitml:find", fps=12.5, width=251)


def find(folder: Path) -> "Source":
    """Locate motions and texts; raises DataError if the folder or part of it is missing."""
    from hmu_tasks.data.datasets.raw import Source
    from hmu_tasks.data.motion.layout import KITML

    motions, texts = parts(folder, "KIT-ML")
    return Source(
        folder,
        motions,
        texts,
        layout=KITML,
        fps=DATASET.fps,
        widths={263: "HumanML3D's features; set run.dataset: humanml3d (or motionx)"},
    )
