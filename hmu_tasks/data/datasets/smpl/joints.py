"""Joints from the joint rotations of SMPL, SMPL-H and SMPL-X, without a body model; and the body of all HumanML3D.

The three models share their first 22 joints (Loper et al. 2015, Romero et al. 2017, Pavlakos et al. 2019). A subject's
shape changes the lengths of the bones and, slightly, their directions in the rest pose; without the user's own model
files (`models`) the mean body stands for all subjects. `features.from_joints(offsets=BODY)` takes the lengths out.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion import rotations
from hmu_tasks.data.motion.features import from_joints_batch, mirror_joints
from hmu_tasks.data.motion.skeleton import JOINT_COUNT, PARENTS, RAW_OFFSETS
from hmu_tasks.runtime.errors import DataError

Array = NDArray[np.float64]

# Rest offsets of the mean SMPL body: each joint as seen from its parent, the pelvis from the model's origin. Metres,
# X to the left, Y up, Z forward.
_REST: Final = """
    -0.0018 -0.2233  0.0282    0.0695 -0.0914 -0.0068   -0.0677 -0.0905 -0.0043   -0.0025  0.1090 -0.0267
     0.0343 -0.3752 -0.0045   -0.0383 -0.3826 -0.0089    0.0055  0.1352  0.0011   -0.0136 -0.3980 -0.0437
     0.0158 -0.3984 -0.0423    0.0015  0.0529  0.0254    0.0264 -0.0558  0.1193   -0.0254 -0.0481  0.1233
    -0.0028  0.2139 -0.0429    0.0788  0.1217 -0.0341   -0.0818  0.1188 -0.0386    0.0052  0.0650  0.0513
     0.0910  0.0305 -0.0089   -0.0960  0.0326 -0.0091    0.2596 -0.0128 -0.0275   -0.2537 -0.0133 -0.0214
     0.2492  0.0090 -0.0012   -0.2553  0.0078 -0.0056
"""
REST: Final[Array] = np.array([*map(float, _REST.split())]).reshape(JOINT_COUNT, 3)
REST.setflags(write=False)

# Lengths in metres of the bones that end at joints 1 to 21: the body that all of HumanML3D is retargeted to, measured
# on its published features.
_LENGTHS: Final = """
    0.1031 0.1099 0.1316 0.3936 0.3902 0.1432 0.4324 0.4256 0.0574 0.1434 0.1494
    0.2194 0.1375 0.1434 0.1030 0.1316 0.1230 0.2568 0.2631 0.2660 0.2699
"""
BODY: Final[NDArray[np.float32]] = (
    np.array([0.0, *map(float, _LENGTHS.split())], np.float32)[:, None] * RAW_OFFSETS
)
BODY.setflags(write=False)

FARTHEST: Final = 1e4  # metres from the origin; farther is damage


def _levels() -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
    """For each depth of the tree, the joints and their parents, so that one step solves all joints of a depth."""
    depth = [0] * JOINT_COUNT
    for joint, parent in enumerate(PARENTS[1:], start=1):
        depth[joint] = depth[parent] + 1
    return tuple(
        (np.array(at), np.array([PARENTS[joint] for joint in at]))
        for at in ([j for j in range(JOINT_COUNT) if depth[j] == level] for level in range(1, max(depth) + 1))
    )


_LEVELS: Final = _levels()


def joints_of(turns: NDArray[Any], path: NDArray[Any], *, offsets: NDArray[Any] = REST) -> Array:
    """Forward kinematics of a body: world positions of the 22 joints, [F, 22, 3] metres.

    turns: [F, 66] or more, axis-angle in radians (Loper et al. 2015): the root's in the world, then joints 1 to 21
    relative to their parents; what follows (hands, face) moves none of the 22. path: [F, 3] metres, the translation of
    the model's origin; axes are its axes. offsets: [22, 3] rest offsets, or [F, 22, 3].
    Raises DataError for wrong shapes, NaN, or a path that leads far away.
    """
    if turns.ndim != 2 or turns.shape[1] < 3 * JOINT_COUNT or path.shape != (len(turns), 3):
        raise DataError(
            f"has rotations of shape {turns.shape} and a path of shape {path.shape}; expected [frames, "
            f"{3 * JOINT_COUNT} or more] and [frames, 3]"
        )
    angles = turns[:, : 3 * JOINT_COUNT].astype(np.float64).reshape(-1, JOINT_COUNT, 3)
    start = path.astype(np.float64)
    bad = ~(np.isfinite(angles).all(axis=(1, 2)) & (np.abs(start) < FARTHEST).all(axis=1))
    if bad.any():
        raise DataError(f"contains NaN, infinite or huge numbers, first in frame {int(bad.argmax())}")
    world = quaternions(angles)
    places = np.empty((len(angles), JOINT_COUNT, 3))
    places[:, 0] = start + offsets[..., 0, :]
    for joints, parents in _LEVELS:
        above = world[:, parents]
        places[:, joints] = places[:, parents] + rotations.rotate(above, offsets[..., joints, :])
        world[:, joints] = rotations.multiply(above, world[:, joints])
    return places


def quaternions(angles: Array) -> Array:
    """Axis-angle vectors [..., 3] in radians -> unit quaternions [..., 4]."""
    half = np.sqrt((angles * angles).sum(-1, keepdims=True)) / 2
    # sin(h) / (2 h), which is numpy's normalised sinc; exact at zero
    return np.concatenate([np.cos(half), angles * (0.5 * np.sinc(half / np.pi))], axis=-1)


def features_of(joints: NDArray[Any]) -> NDArray[np.float32]:
    """Features of a motion and of its mirror image on the common body: [F, 22, 3] metres, Y up -> [2, F - 1, 263].

    Raises DataError for a motion of fewer than 3 frames, which has no two rows of features.
    """
    if len(joints) < 3:
        raise DataError(f"has {len(joints)} frames; a motion needs at least 3")
    return from_joints_batch(np.stack([joints, mirror_joints(joints)]), offsets=BODY)
