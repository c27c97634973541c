"""Joints <-> the 263 numbers per frame of HumanML3D (Guo et al. 2022), equal to the published features.

Per frame: half the turn of the heading and the step in the body's own frame to the next frame, pelvis height;
where the other 21 joints are, seen from the pelvis with the body turned to +Z; their rotations; all joints'
steps; whether each heel and toe stands still. The last frame has no next frame, so F frames of joints give
F - 1 rows.

Two oddities of the official code are part of the published data and are kept. The four joints of the heading
are unpacked in a swapped order, so that hips and shoulders pull against each other and the heading is off by
about ten degrees. And heading quaternions are not made continuous: when the heading crosses 180 degrees, one
frame's turn has the wrong sign and the recovered path bends away from there.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data import rotations
from hmu_tasks.data.layout import (
    CONTACTS,
    DIMENSIONS,
    GROUPS,
    LOCAL_POSITIONS,
    NAMES,
    ROOT,
    ROTATIONS,
    VELOCITIES,
)
from hmu_tasks.data.normalisation import Statistics, denormalise, emphasise, normalise, statistics
from hmu_tasks.data.recovery import root_path, to_joints, to_joints_from_rotations
from hmu_tasks.data.skeleton import (
    CHAINS,
    FACE_JOINTS,
    JOINT_COUNT,
    LEFT_FOOT,
    LEG,
    MIRROR_ORDER,
    PARENTS,
    RAW_OFFSETS,
    RIGHT_FOOT,
)
from hmu_tasks.errors import DataError

__all__ = [
    "CONTACTS",
    "DIMENSIONS",
    "GROUPS",
    "LOCAL_POSITIONS",
    "NAMES",
    "ROOT",
    "ROTATIONS",
    "VELOCITIES",
    "Statistics",
    "bone_offsets",
    "denormalise",
    "emphasise",
    "extract",
    "from_joints",
    "from_joints_batch",
    "mirror_joints",
    "normalise",
    "place",
    "retarget",
    "root_path",
    "solve_rotations",
    "statistics",
    "to_joints",
    "to_joints_from_rotations",
]

FEET_THRESHOLD: Final = 0.002  # squared metres per frame squared below which a foot counts as still
_UP: Final = np.array([0, 1, 0], dtype=np.float32)
_FORWARD: Final = np.array([0, 0, 1], dtype=np.float32)
_PARENTS: Final = np.array(PARENTS[1:])
_FEET: Final = [*LEFT_FOOT, *RIGHT_FOOT]


def _levels() -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
    # The n-th joint of every chain beside the joint its rotation is relative to. The arms hang below spine3,
    # but every chain starts from the heading (row 0).
    levels = []
    for step in range(1, max(map(len, CHAINS))):
        chains = [chain for chain in CHAINS if len(chain) > step]
        before = [chain[step - 1] if step > 1 else 0 for chain in chains]
        levels.append((np.array(before), np.array([chain[step] for chain in chains])))
    return tuple(levels)


_LEVELS: Final = _levels()


def from_joints(joints: NDArray[Any], *, offsets: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """Place a motion on the floor, at the origin, facing +Z, and describe it in 263 numbers per frame.

    joints: [F, 22, 3] metres, Y up, 20 fps, F >= 2. offsets: [22, 3] bones of the skeleton to retarget to
    first, as the official preparation does with its reference body; None keeps the motion's own body. Returns
    [F - 1, 263]. Raises DataError for another shape or numbers that are not finite.
    """
    if joints.ndim != 3:
        raise DataError(f"joints have shape {joints.shape}; expected [frames, 22, 3]")
    return from_joints_batch(joints, offsets=offsets)


def from_joints_batch(joints: NDArray[Any], *, offsets: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """Describe motions of equal length at once: [..., F, 22, 3] -> [..., F - 1, 263]; see from_joints."""
    _check_joints(joints)
    if offsets is not None:
        joints = retarget(joints, offsets)
    return extract(place(joints))


def extract(joints: NDArray[Any]) -> NDArray[np.float32]:
    """Describe joints [..., F, 22, 3] as they stand, neither retargeted nor placed: [..., F - 1, 263]."""
    positions = joints.astype(np.float32)
    local, _ = solve_rotations(positions)
    heading = local[..., 0, :]
    turn = rotations.multiply(heading[..., 1:, :], rotations.conjugate(heading[..., :-1, :]))
    steps = positions[..., 1:, :, :] - positions[..., :-1, :, :]
    root_step = rotations.rotate(heading[..., 1:, :], steps[..., 0, :])
    before = heading[..., :-1, None, :]
    seen = positions[..., :-1, :, :].copy()
    seen[..., 0] -= positions[..., :-1, :1, 0]
    seen[..., 2] -= positions[..., :-1, :1, 2]
    still = (steps[..., _FEET, :] ** 2).sum(-1) < FEET_THRESHOLD
    lead = steps.shape[:-2]
    return np.concatenate(
        [
            np.arcsin(np.clip(turn[..., 2:3], -1, 1)),
            root_step[..., [0, 2]],
            positions[..., :-1, 0, 1:2],
            rotations.rotate(before, seen[..., 1:, :]).reshape(*lead, -1),
            rotations.to_six(local[..., :-1, 1:, :]).reshape(*lead, -1),
            rotations.rotate(before, steps).reshape(*lead, -1),
            still.astype(np.float32),
        ],
        axis=-1,
        dtype=np.float32,
    )


def solve_rotations(
    positions: NDArray[np.float32], *, smooth: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rotations of joints [..., F, 22, 3]: relative to the joint before, and accumulated; [..., F, 22, 4].

    Row 0 of both is the heading: the turn that takes the body's facing direction to +Z. `smooth` filters that
    direction over time.
    """
    world = np.empty((*positions.shape[:-1], 4), dtype=np.float32)
    world[..., 0, :] = rotations.between(_facing(positions, smooth=smooth), _FORWARD)
    world[..., 0, 0, :] = (1, 0, 0, 0)  # by definition a placed motion faces +Z at frame 0
    local = world.copy()
    bones = rotations.unit(positions[..., 1:, :] - positions[..., _PARENTS, :])
    turns = rotations.between(RAW_OFFSETS[1:], bones)
    for before, joints in _LEVELS:
        # world equals turns up to rounding; the official numbers contain the rounding of these products.
        local[..., joints, :] = rotations.multiply(
            rotations.conjugate(world[..., before, :]), turns[..., joints - 1, :]
        )
        world[..., joints, :] = rotations.multiply(world[..., before, :], local[..., joints, :])
    return local, world


def _facing(positions: NDArray[Any], *, smooth: bool) -> NDArray[Any]:
    # FACE_JOINTS starts with the RIGHT hip: unpacking it like this is the swap that the module describes.
    left_hip, right_hip, right_shoulder, left_shoulder = FACE_JOINTS
    hips = positions[..., right_hip, :] - positions[..., left_hip, :]
    shoulders = positions[..., right_shoulder, :] - positions[..., left_shoulder, :]
    facing = rotations.cross(_UP, rotations.unit(hips + shoulders))
    if smooth:
        from scipy.ndimage import gaussian_filter1d  # costs more to import than the rest of this module

        facing = gaussian_filter1d(facing, 20, axis=-2, mode="nearest")
    facing_unit: NDArray[Any] = rotations.unit(facing)
    return facing_unit


def place(joints: NDArray[Any]) -> NDArray[np.float32]:
    """Put the lowest joint of each motion [..., F, 22, 3] at height 0, its start at x = z = 0, facing +Z."""
    joints = joints.astype(np.float64)
    right_hip, left_hip, right_shoulder, left_shoulder = FACE_JOINTS
    first = joints[..., 0, :, :]
    across = first[..., right_hip, :] - first[..., left_hip, :]
    across = rotations.unit(across + first[..., right_shoulder, :] - first[..., left_shoulder, :])
    facing = rotations.unit(rotations.cross(_UP, across))
    start = first[..., 0, :].copy()
    start[..., 1] = joints[..., 1].min(axis=(-2, -1))
    moved = (joints - start[..., None, None, :]).astype(np.float32)
    turn = rotations.between(facing.astype(np.float32), _FORWARD)
    placed: NDArray[np.float32] = rotations.rotate(turn[..., None, None, :], moved)
    return placed


def bone_offsets(joints: NDArray[Any]) -> NDArray[np.float32]:
    """Bones of a body in the reference pose: one frame of joints [..., 22, 3] -> [..., 22, 3] metres."""
    offsets = np.zeros(joints.shape, dtype=np.float32)
    lengths = np.linalg.norm(joints[..., 1:, :] - joints[..., _PARENTS, :], axis=-1)
    offsets[..., 1:, :] = lengths[..., None] * RAW_OFFSETS[1:]
    return offsets


def retarget(joints: NDArray[Any], offsets: NDArray[Any]) -> NDArray[np.float64]:
    """Give a motion [..., F, 22, 3] the bones of another body [22, 3]; its path scales with its legs."""
    if offsets.shape != (JOINT_COUNT, 3):
        raise DataError(f"offsets have shape {offsets.shape}; expected [22, 3], as bone_offsets gives them")
    legs = list(LEG)
    own = np.abs(bone_offsets(joints[..., 0, :, :])[..., legs, :]).max(axis=-1).sum(axis=-1)
    if not np.all(own > 0):
        raise DataError("a motion's right leg has no length in its first frame; it cannot be retargeted")
    scale = np.abs(offsets[legs]).max(axis=-1).sum() / own
    _, world = solve_rotations(joints.astype(np.float32), smooth=False)
    bones = rotations.rotate(world, offsets.astype(np.float32))
    result = np.empty(joints.shape, dtype=np.float64)
    result[..., 0, :] = joints[..., 0, :] * scale[..., None, None]
    for joint in range(1, JOINT_COUNT):  # parents come before their children
        result[..., joint, :] = result[..., PARENTS[joint], :] + bones[..., joint, :]
    return result


def mirror_joints(joints: NDArray[Any]) -> NDArray[Any]:
    """Mirror joints [..., 22, 3]: x changes its sign, left and right joints change places."""
    mirrored = joints[..., MIRROR_ORDER, :]
    mirrored[..., 0] *= -1
    return mirrored


def _check_joints(joints: NDArray[Any]) -> None:
    if joints.ndim < 3 or joints.shape[-2:] != (JOINT_COUNT, 3):
        raise DataError(f"joints have shape {joints.shape}; expected [..., frames, 22, 3]")
    if joints.shape[-3] < 2:
        raise DataError("a motion needs at least two frames; steps between frames are part of its features")
    if not np.isfinite(joints).all():
        raise DataError("joints contain NaN or infinite numbers; repair or leave out this motion")
