"""One motion of AMASS, or of HumanAct12, as joints in HumanML3D's axes at 20 frames per second.

Follows the released preparation script (Guo et al. 2022): every int(fps / 20)-th frame; then the axes (x, y, z) become
(x, z, y); then the sub-dataset's cut, the index's frames, and x negated.
"""

import zipfile
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import DAMAGE, array_from
from hmu_tasks.data.datasets.amass.index import IndexRow
from hmu_tasks.data.datasets.amass.names import CUTS
from hmu_tasks.data.datasets.smpl.joints import REST, joints_of
from hmu_tasks.data.datasets.smpl.members import LARGEST, Members, member, members_of, word
from hmu_tasks.data.datasets.smpl.models import MEAN_BODY, BodyModels
from hmu_tasks.data.motion.skeleton import FPS, JOINT_COUNT
from hmu_tasks.runtime.errors import DataError

_RATES: Final = ("mocap_framerate", "mocap_frame_rate", "fps")
_SMPLX_POSES: Final = 165  # numbers of a pose of SMPL-X; SMPL-H has 156


def entry_joints(file: BinaryIO, entry: IndexRow, models: BodyModels = MEAN_BODY) -> NDArray[np.float64]:
    """Joints [F, 22, 3] in metres, Y up, of a row of the index, from its opened .npz or .npy file.

    models: used with the file's gender and betas; without any, the mean body is. Raises DataError, to be prefixed by
    the file's name.
    """
    try:
        if entry.joints:
            return _positions(array_from(file, limit=LARGEST))
        with zipfile.ZipFile(file) as archive:
            return _from_parameters(archive, entry, models)
    except DAMAGE as error:
        raise DataError(
            f"is damaged ({error or type(error).__name__}); download or unpack it again"
        ) from error


def _positions(joints: NDArray[Any]) -> NDArray[np.float64]:
    if joints.ndim != 3 or joints.shape[1] < JOINT_COUNT or joints.shape[2] != 3:
        raise DataError(f"has shape {joints.shape}; expected [frames, {JOINT_COUNT} or more, 3]")
    found = joints[:, :JOINT_COUNT].astype(np.float64)
    if not np.isfinite(found).all():
        raise DataError("contains NaN or infinite numbers")
    return found


def _from_parameters(archive: zipfile.ZipFile, entry: IndexRow, models: BodyModels) -> NDArray[np.float64]:
    members = members_of(archive)
    rate = _rate(archive, members)
    path = member(archive, members, "trans")
    rows = np.arange(len(path))[:: int(rate / FPS)]
    rows = rows[CUTS.get(entry.sub, 0) :][entry.start : entry.end]
    if not len(rows):
        raise DataError(
            f"lasts {len(path) / rate:.1f} s, less than frames {entry.start} to {entry.end} of index.csv need; "
            "it is cut off, or of another release"
        )
    if "poses" in members:
        turns = member(archive, members, "poses")
    else:
        turns = np.concatenate([member(archive, members, n) for n in ("root_orient", "pose_body")], axis=-1)
    if len(turns) != len(path):
        raise DataError(f"has {len(turns)} frames of rotations, but {len(path)} of its path")
    joints = joints_of(turns[rows], path[rows], offsets=_offsets(archive, members, turns.shape[1], models))
    # (x, y, z) -> (x, z, y), then x negated: a rotation, from Z up to Y up.
    return joints[..., [0, 2, 1]] * (-1, 1, 1)


def _offsets(
    archive: zipfile.ZipFile, members: Members, width: int, models: BodyModels
) -> NDArray[np.float64]:
    """Rest offsets of the file's subject by its model, gender and betas.

    The released script takes the female model for every gender but "male"; files of AMASS name no third one for SMPL-H.
    """
    if not models:
        return REST
    if "surface_model_type" in members:
        smplx = word(archive, members, "surface_model_type").startswith("smplx")
    else:
        smplx = width == _SMPLX_POSES
    return models.of("SMPL-X" if smplx else "SMPL-H", word(archive, members, "gender")).offsets(
        member(archive, members, "betas")
    )


def _rate(archive: zipfile.ZipFile, members: Members) -> float:
    name = next((name for name in _RATES if name in members), None)
    if name is None:
        raise DataError(
            f"holds none of {', '.join(_RATES)}; it is not a motion of AMASS, whose files say their rate"
        )
    value = member(archive, members, name)
    rate = float(value.reshape(-1)[0]) if value.size == 1 else 0.0
    if not FPS <= rate <= 1000:
        raise DataError(f"has the frame rate {rate:g}; expected {FPS:g} to 1000 frames per second")
    return rate
