"""Motion-X (Lin et al. 2023) as distributed (parameters of SMPL-X), or with 263 body features, in either layout.

Ids are paths with sub-folders and may contain spaces and underscores; semantic labels may be bare captions.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmu_tasks.data.datasets import Dataset
from hmu_tasks.runtime.errors import DataError

if TYPE_CHECKING:
    from hmu_tasks.data.datasets.raw import Source

DATASET = Dataset(name="motionx", finder="hmu_tasks.data.datasets.motionx:find", fps=30.0, tagged=False)

# Where the authors' preparation script writes the 263 features, and other common places.
MOTIONS: Final = ("motion_data/vector_263", "vector_263", "new_joint_vecs")
TEXTS: Final = (
    "texts/semantic_labels",
    "texts/semantic_texts",
    "semantic_labels",
    "semantic_texts",
    "motionx_seq_text_v1.1",
    "motionx_seq_text_v1.0",
)
SMPLX: Final = ("motion_data/smplx_322", "smplx_322")
PARAMETERS: Final = (
    f"parameters of SMPL-X, as distributed; put them into {SMPLX[0]} without a folder of features beside it"
)


def find(folder: Path) -> "Source":
    """Locate motions, features before parameters of SMPL-X, and texts; raises DataError naming what is missing."""
    from hmu_tasks.data.datasets.raw import Source
    from hmu_tasks.data.datasets.smpl.files import converted
    from hmu_tasks.data.datasets.smpl.models import FOLDER, models_in

    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a directory; set ingest.source to the folder of Motion-X (see docs/data.md)"
        )
    motions = _one(folder, MOTIONS, "motions")
    texts = _one(folder, TEXTS, "texts") or folder / "texts"
    parameters = None if motions else _one(folder, SMPLX, "parameters of SMPL-X")
    chosen = motions or parameters
    if chosen is None:
        raise DataError(
            f"{folder} holds no motions; expected one of the folders {', '.join(SMPLX)} (parameters of SMPL-X) or "
            f"{', '.join(MOTIONS)} (263 features)"
        )
    if not texts.is_dir():
        raise DataError(
            f"{folder} holds no texts; expected one of the folders {', '.join((*TEXTS, 'texts'))}"
        )
    models = models_in([] if motions else [folder / FOLDER], folder)
    try:
        model = models.of("SMPL-X", "neutral") if models else None
    except DataError as error:
        raise DataError(f"{folder}: Motion-X {error}") from error
    return Source(
        folder,
        chosen,
        texts,
        fps=DATASET.fps,
        bare_captions=True,
        widths={
            322: PARAMETERS,
            623: "features of body and hands; keep the body's with the authors' transfer_to_body_only_humanml.py",
            251: "KIT-ML's features; set run.dataset: kitml",
        },
        converter=None if motions else partial(converted, model=model),
    )


def _one(folder: Path, names: tuple[str, ...], what: str) -> Path | None:
    found = [folder / name for name in names if (folder / name).is_dir()]
    if len(found) > 1:
        raise DataError(f"{folder} holds {what} twice: {found[0]} and {found[1]}; keep one of them")
    return found[0] if found else None
