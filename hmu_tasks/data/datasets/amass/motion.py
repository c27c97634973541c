"""One motion of AMASS, or of HumanAct12, as joints in HumanML3D's axes at 20 frames per second.

Follows the released preparation script (Guo et al. 2022): every int(fps / 20)-th frame; then the axes (x, y, z) become
(x, z, y); then the sub-dataset's cut, the index's frames, and x negated.
"""

import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import DAMAGE, array_from
from hmu_tasks.data.datasets.amass.index import IndexRow
from hmu_tasks.data.datasets.amass.names import CUTS
from hmu_tasks.data.datasets.smpl.joints import joints_of
from hmu_tasks.data.motion.skeleton import FPS, JOINT_COUNT
from hmu_tasks.runtime.errors import DataError

LARGEST: Final = 1 << 30
"""Bytes of a file or array that are read at most: half an hour at 250 frames per second takes 600 MB."""
_FREELY_PACKED: Final = 1 << 24
_DENSEST: Final = 100
"""Bytes from one packed byte, at most: numbers of a motion shrink to a half, a hand that never moves to nothing."""
_RATES: Final = ("mocap_framerate", "mocap_frame_rate", "fps")


def entry_joints(file: BinaryIO, entry: IndexRow) -> NDArray[np.float64]:
    """Joints [F, 22, 3] in metres, Y up, of a row of the index, from its opened .npz or .npy file.

    Raises DataError, to be prefixed by the file's name.
    """
    try:
        if entry.joints:
            return _positions(array_from(file, limit=LARGEST))
        with zipfile.ZipFile(file) as archive:
            return _from_parameters(archive, entry)
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


def _from_parameters(archive: zipfile.ZipFile, entry: IndexRow) -> NDArray[np.float64]:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    rate = _rate(archive, members)
    path = _member(archive, members, "trans")
    rows = np.arange(len(path))[:: int(rate / FPS)]
    rows = rows[CUTS.get(entry.sub, 0) :][entry.start : entry.end]
    if not len(rows):
        raise DataError(
            f"lasts {len(path) / rate:.1f} s, less than frames {entry.start} to {entry.end} of index.csv need; "
            "it is cut off, or of another release"
        )
    if "poses" in members:
        turns = _member(archive, members, "poses")
    else:
        turns = np.concatenate([_member(archive, members, n) for n in ("root_orient", "pose_body")], axis=-1)
    if len(turns) != len(path):
        raise DataError(f"has {len(turns)} frames of rotations, but {len(path)} of its path")
    joints = joints_of(turns[rows], path[rows])
    # (x, y, z) -> (x, z, y), then x negated: a rotation, from Z up to Y up.
    return joints[..., [0, 2, 1]] * (-1, 1, 1)


def _rate(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> float:
    name = next((name for name in _RATES if name in members), None)
    if name is None:
        raise DataError(
            f"holds none of {', '.join(_RATES)}; it is not a motion of AMASS, whose files say their rate"
        )
    value = _member(archive, members, name)
    rate = float(value.reshape(-1)[0]) if value.size == 1 else 0.0
    if not FPS <= rate <= 1000:
        raise DataError(f"has the frame rate {rate:g}; expected {FPS:g} to 1000 frames per second")
    return rate


def _member(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str) -> NDArray[Any]:
    if name not in members:
        raise DataError(f"holds no array {name!r}; it has {', '.join(sorted(members)[:12]) or 'nothing'}")
    info = members[name]
    if info.file_size > max(_FREELY_PACKED, _DENSEST * info.compress_size):
        raise DataError(
            f"holds an array {name!r} that unpacks from {info.compress_size:,} to {info.file_size:,} bytes, as no "
            "motion does"
        )
    with cast(BinaryIO, archive.open(info)) as file:
        return array_from(file, limit=LARGEST)
