"""Motion-X (Lin et al. 2023) with 263 body features, in its own folder layout or HumanML3D's.

Ids are paths with sub-folders and may contain spaces and underscores; semantic labels may be bare captions.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmu_tasks.data.datasets import Dataset
from hmu_tasks.runtime.errors import DataError

if TYPE_CHECKING:
    from hmu_tasks.data.datasets.raw import Source

DATASET = Dataset(name="motionx", finder="hmu_tasks.data.datasets.motionx:find", fps=30.0, tagged=False)

# Where the authors' preparation script writes the 263 features, and other common places.
MOTIONS: Final = ("motion_data/vector_263", "vector_263", "new_joint_vecs")
TEXTS: Final = ("texts/semantic_labels", "texts/semantic_texts", "semantic_labels")
SMPLX: Final = ("motion_data/smplx_322", "smplx_322")
CONVERT: Final = (
    "SMPL-X parameters, which give joints only through the SMPL-X body model, which is not part of this "
    'project; convert them to 263 features first (docs/data.md, "Motion-X from SMPL-X parameters")'
)


def find(folder: Path) -> "Source":
    """Locate motions and texts; raises DataError naming what is missing, or how to convert SMPL-X parameters."""
    from hmu_tasks.data.datasets.raw import Source

    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a directory; set ingest.source to the folder of Motion-X (see docs/data.md)"
        )
    motions = _one(folder, MOTIONS, "motions")
    texts = _one(folder, TEXTS, "texts") or folder / "texts"
    if motions is None:
        for part in SMPLX:
            if (folder / part).is_dir():
                raise DataError(f"{folder / part} holds {CONVERT}")
        raise DataError(f"{folder} holds no 263 features; expected one of the folders {', '.join(MOTIONS)}")
    if not texts.is_dir():
        raise DataError(
            f"{folder} holds no texts; expected one of the folders {', '.join((*TEXTS, 'texts'))}"
        )
    return Source(
        folder,
        motions,
        texts,
        fps=DATASET.fps,
        bare_captions=True,
        widths={
            322: CONVERT,
            623: "features of body and hands; keep the body's with the authors' transfer_to_body_only_humanml.py",
            251: "KIT-ML's features; set run.dataset: kitml",
        },
    )


def _one(folder: Path, names: tuple[str, ...], what: str) -> Path | None:
    found = [folder / name for name in names if (folder / name).is_dir()]
    if len(found) > 1:
        raise DataError(f"{folder} holds {what} twice: {found[0]} and {found[1]}; keep one of them")
    return found[0] if found else None
