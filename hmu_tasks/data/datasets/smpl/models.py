"""A user's own SMPL-H and SMPL-X model files: the rest offsets of a subject's shape, instead of the mean body's.

Joints of the rest pose are a linear map of the shaped vertices (Loper et al. 2015, equations 8 and 10), and no pose
moves them, so that four arrays of a model file give the exact joints of any rotations; no vertex is ever posed.
"""

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import DAMAGE
from hmu_tasks.data.datasets.links import check_inside
from hmu_tasks.data.datasets.smpl.members import LARGEST, member, members_of
from hmu_tasks.data.motion.skeleton import JOINT_COUNT, PARENTS
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import open_file

Array = NDArray[np.float64]

FOLDER: Final = "body_models"
GENDERS: Final = ("male", "female", "neutral")
BETAS: Final = 10
"""Shape parameters that are used, as in HumanML3D's script (Guo et al. 2022) and in Motion-X, which has no more."""
_KINDS: Final = {24: "SMPL", 52: "SMPL-H", 55: "SMPL-X"}  # by the number of joints
_GENDER: Final = re.compile(rf"(?<![a-z])({'|'.join(GENDERS)})(?![a-z])", re.IGNORECASE)
_DYNAMICS: Final = "eigvec"  # of DMPL files, which HumanML3D's script reads, but no joint depends on


@dataclass(frozen=True, eq=False)
class BodyModel:
    """Joints [22, 3] of the model's own mean body in metres, and how they move with each of the betas, [22, 3, B]."""

    path: Path
    kind: str
    gender: str
    joints: Array
    shapes: Array

    def offsets(self, betas: NDArray[Any]) -> Array:
        """Rest offsets [..., 22, 3] of bodies of these betas [..., B or more]; raises DataError for fewer, or NaN."""
        used = self.shapes.shape[-1]
        if betas.ndim < 1 or betas.shape[-1] < used or not np.isfinite(betas[..., :used]).all():
            raise DataError(f"has betas of shape {betas.shape}; expected {used} or more finite numbers")
        joints = self.joints + np.einsum("jcb,...b->...jc", self.shapes, betas[..., :used].astype(np.float64))
        offsets: Array = joints.copy()
        offsets[..., 1:, :] -= joints[..., list(PARENTS[1:]), :]
        return offsets


@dataclass(frozen=True)
class BodyModels:
    """All model files of a raw folder; without any, the mean body stands for all subjects."""

    found: tuple[BodyModel, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.found)

    def of(self, kind: str, gender: str) -> BodyModel:
        """Return the model that a motion was fitted with; raises DataError where it is not there."""
        for model in self.found:
            if (model.kind, model.gender) == (kind, gender):
                return model
        given = ", ".join(f"{model.kind} {model.gender} ({model.path.name})" for model in self.found)
        raise DataError(
            f"was fitted with the {gender} {kind} model, and {FOLDER} holds {given}; add that model's .npz file, or "
            f"remove {FOLDER} to take the mean body for all"
        )

    def as_json(self) -> list[dict[str, str]]:
        """Say which models are used."""
        return [{"model": f"{model.kind} {model.gender}", "file": model.path.name} for model in self.found]


MEAN_BODY: Final = BodyModels()


def models_in(folders: Iterable[Path], root: Path) -> BodyModels:
    """Read the model files in folders named `body_models`, at any depth; none is fine.

    root: the raw folder, out of which no link may lead. Raises DataError naming a file that is no model, is a pickle
    without an .npz file beside it, or is there twice.
    """
    found: dict[tuple[str, str], BodyModel] = {}
    for folder in folders:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".npz", ".pkl"))
        packed = {path.with_suffix("") for path in files if path.suffix.lower() == ".npz"}
        for path in files:
            check_inside(path, root.resolve())
            if path.suffix.lower() == ".pkl":
                if path.with_suffix("") not in packed:
                    raise DataError(
                        f"{path} is a pickle, which can run any program when it is read; take the .npz file of the "
                        "same model from the same download page and remove this one"
                    )
                continue
            model = read_model(path)
            if model is None:
                continue
            twin = found.setdefault((model.kind, model.gender), model)
            if twin is not model:
                raise DataError(
                    f"{path} and {twin.path} are both the {model.gender} {model.kind} model; keep one of them"
                )
    return BodyModels(tuple(found[key] for key in sorted(found)))


def read_model(path: Path) -> BodyModel | None:
    """Read an .npz file of SMPL-H or SMPL-X; None for one of DMPL. Its gender is in its name or its folder's.

    Raises DataError naming the file.
    """
    try:
        with open_file(path, limit=LARGEST) as file, zipfile.ZipFile(file) as archive:
            members = members_of(archive)
            if _DYNAMICS in members and "v_template" not in members:
                return None
            names = ("v_template", "shapedirs", "J_regressor", "kintree_table")
            template, shapes, regressor, tree = (member(archive, members, name) for name in names)
        return _model(path, template, shapes, regressor, tree)
    except DataError as error:
        raise DataError(f"{path} {error}; expected a model file of SMPL-H or SMPL-X") from error
    except DAMAGE as error:
        raise DataError(f"{path} is damaged ({error or type(error).__name__}); download it again") from error


def _model(
    path: Path, template: NDArray[Any], shapes: NDArray[Any], regressor: NDArray[Any], tree: NDArray[Any]
) -> BodyModel:
    shape = (len(template), 3)
    if template.shape != shape or shapes.ndim != 3 or shapes.shape[:2] != shape or shapes.shape[2] < BETAS:
        raise DataError(f"has v_template of shape {template.shape} and shapedirs of shape {shapes.shape}")
    joints = regressor.shape[0] if regressor.ndim == 2 else 0
    kind = _KINDS.get(joints)
    if kind is None or regressor.shape != (joints, len(template)) or tree.shape != (2, joints):
        raise DataError(f"has J_regressor of shape {regressor.shape} and kintree_table of shape {tree.shape}")
    if kind == "SMPL":
        raise DataError("is a model of SMPL, with which neither AMASS nor Motion-X was fitted")
    if tuple(tree[0, 1:JOINT_COUNT].tolist()) != PARENTS[1:]:
        raise DataError("has other joints than SMPL's first 22")
    genders = [
        one for name in (path.stem, path.parent.name) for one in _GENDER.findall(name.replace("_", " "))
    ]
    if not genders:
        raise DataError(
            f"has no gender in its name; rename it to such as {kind.replace('-', '')}_MALE.npz, or put it into a "
            f"folder {', '.join(GENDERS)}"
        )
    used = regressor[:JOINT_COUNT].astype(np.float64)
    rest = used @ template.astype(np.float64)
    moved = np.einsum("jv,vcb->jcb", used, shapes[..., :BETAS].astype(np.float64), optimize=True)
    if not (np.isfinite(rest).all() and np.isfinite(moved).all()):
        raise DataError("contains NaN or infinite numbers")
    return BodyModel(path, kind, genders[0].lower(), rest, moved)
