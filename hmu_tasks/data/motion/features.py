"""Convert joints to the features of HumanML3D (263) and KIT-ML (251) and back, matching the published features.

Guo et al. 2022. J joints give D = 12 J - 1 features: 22 and 263, or 21 and 251; see `Layout`.
Per frame: half the heading's turn and the root's step to the next frame, in the body's frame, and the pelvis height;
positions of the other joints relative to the pelvis, body facing +Z; their rotations; velocities of all joints; foot
contacts of heels and toes. The last frame has no successor, so F frames of joints give F - 1 rows.

Two quirks of the official code are part of the published data and are kept. The four joints that define the heading
are unpacked in swapped order, so hips and shoulders work against each other and the heading is off by about ten
degrees. And heading quaternions are not made continuous: where the heading crosses 180 degrees, one frame's turn has
the wrong sign and the recovered path bends away from there.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion import rotations
from hmu_tasks.data.motion.layout import HUMANML3D, Layout
from hmu_tasks.data.motion.recovery import to_joints
from hmu_tasks.data.motion.skeleton import MIRROR_ORDER, SMPL, Skeleton
from hmu_tasks.runtime.errors import DataError

__all__ = [
    "bone_offsets",
    "extract",
    "from_joints",
    "from_joints_batch",
    "mirror_joints",
    "place",
    "retarget",
    "solve_rotations",
    "to_joints",
]

_UP: Final = np.array([0, 1, 0], dtype=np.float32)
_FORWARD: Final = np.array([0, 0, 1], dtype=np.float32)


def from_joints(
    joints: NDArray[Any], *, offsets: NDArray[Any] | None = None, layout: Layout = HUMANML3D
) -> NDArray[np.float32]:
    """Canonicalise a motion (on the floor, at the origin, facing +Z) and extract its features.

    joints: [F, J, 3] metres, Y up, at the layout's frame rate, F >= 2. offsets: [J, 3] bone offsets of the skeleton to
    retarget to first, as the official preparation does with its reference body; None keeps the motion's own body.
    Returns [F - 1, D]. Raises DataError for a wrong shape or non-finite values.
    """
    if joints.ndim != 3:
        raise DataError(f"joints have shape {joints.shape}; expected [frames, {layout.joints}, 3]")
    return from_joints_batch(joints, offsets=offsets, layout=layout)


def from_joints_batch(
    joints: NDArray[Any], *, offsets: NDArray[Any] | None = None, layout: Layout = HUMANML3D
) -> NDArray[np.float32]:
    """Batched `from_joints` for motions of equal length: [..., F, J, 3] -> [..., F - 1, D]."""
    _check_joints(joints, layout.joints)
    if offsets is not None:
        joints = retarget(joints, offsets, body=layout.skeleton)
    return extract(place(joints, body=layout.skeleton), layout=layout)


def extract(joints: NDArray[Any], *, layout: Layout = HUMANML3D) -> NDArray[np.float32]:
    """Extract features from joints [..., F, J, 3] in metres, without retargeting or placing: [..., F - 1, D]."""
    positions = joints.astype(np.float32)
    if layout.metres != 1.0:
        positions /= np.float32(layout.metres)
    local, _ = solve_rotations(positions, body=layout.skeleton)
    heading = local[..., 0, :]
    turn = rotations.multiply(heading[..., 1:, :], rotations.conjugate(heading[..., :-1, :]))
    steps = positions[..., 1:, :, :] - positions[..., :-1, :, :]
    root_step = rotations.rotate(heading[..., 1:, :], steps[..., 0, :])
    before = heading[..., :-1, None, :]
    seen = positions[..., :-1, :, :].copy()
    seen[..., 0] -= positions[..., :-1, :1, 0]
    seen[..., 2] -= positions[..., :-1, :1, 2]
    still = (steps[..., list(layout.skeleton.feet), :] ** 2).sum(-1) < layout.still
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
    positions: NDArray[np.float32], *, smooth: bool = True, body: Skeleton = SMPL
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rotations of joints [..., F, J, 3], relative to the previous joint and accumulated: two of [..., F, J, 4].

    Row 0 of both is the heading, the rotation of the facing direction to +Z; `smooth` low-pass filters that direction
    over time.
    """
    world = np.empty((*positions.shape[:-1], 4), dtype=np.float32)
    world[..., 0, :] = rotations.between(_facing(positions, body, smooth=smooth), _FORWARD)
    world[..., 0, 0, :] = (1, 0, 0, 0)  # by definition a placed motion faces +Z at frame 0
    local = world.copy()
    bones = rotations.unit(positions[..., 1:, :] - positions[..., list(body.parents[1:]), :])
    turns = rotations.between(body.offsets[1:], bones)
    for before, joints in body.levels:
        # world equals turns up to rounding; the published features contain the rounding of these products.
        local[..., joints, :] = rotations.multiply(
            rotations.conjugate(world[..., before, :]), turns[..., joints - 1, :]
        )
        world[..., joints, :] = rotations.multiply(world[..., before, :], local[..., joints, :])
    return local, world


def _facing(positions: NDArray[Any], body: Skeleton, *, smooth: bool) -> NDArray[Any]:
    # `face` starts with the RIGHT hip: this unpacking is the swap that the module docstring describes.
    left_hip, right_hip, right_shoulder, left_shoulder = body.face
    hips = positions[..., right_hip, :] - positions[..., left_hip, :]
    shoulders = positions[..., right_shoulder, :] - positions[..., left_shoulder, :]
    facing = rotations.cross(_UP, rotations.unit(hips + shoulders))
    if smooth:
        from scipy.ndimage import gaussian_filter1d  # slower to import than the rest of this module

        facing = gaussian_filter1d(facing, 20, axis=-2, mode="nearest")
    facing_unit: NDArray[Any] = rotations.unit(facing)
    return facing_unit


def place(joints: NDArray[Any], *, body: Skeleton = SMPL) -> NDArray[np.float32]:
    """Move each motion [..., F, J, 3] so that its lowest joint is at y = 0 and it starts at x = z = 0, facing +Z."""
    joints = joints.astype(np.float64)
    right_hip, left_hip, right_shoulder, left_shoulder = body.face
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


def bone_offsets(joints: NDArray[Any], *, body: Skeleton = SMPL) -> NDArray[np.float32]:
    """Bone offsets of a body in the reference pose: one frame of joints [..., J, 3] -> [..., J, 3] metres."""
    offsets = np.zeros(joints.shape, dtype=np.float32)
    lengths = np.linalg.norm(joints[..., 1:, :] - joints[..., list(body.parents[1:]), :], axis=-1)
    offsets[..., 1:, :] = lengths[..., None] * body.offsets[1:]
    return offsets


def retarget(joints: NDArray[Any], offsets: NDArray[Any], *, body: Skeleton = SMPL) -> NDArray[np.float64]:
    """Retarget a motion [..., F, J, 3] to bone offsets [J, 3]; the root path scales with leg length."""
    if offsets.shape != (len(body), 3):
        raise DataError(
            f"offsets have shape {offsets.shape}; expected [{len(body)}, 3], as returned by bone_offsets"
        )
    legs = list(body.leg)
    own = np.abs(bone_offsets(joints[..., 0, :, :], body=body)[..., legs, :]).max(axis=-1).sum(axis=-1)
    if not np.all(own > 0):
        raise DataError("a motion's right leg has no length in its first frame; it cannot be retargeted")
    scale = np.abs(offsets[legs]).max(axis=-1).sum() / own
    _, world = solve_rotations(joints.astype(np.float32), smooth=False, body=body)
    bones = rotations.rotate(world, offsets.astype(np.float32))
    result = np.empty(joints.shape, dtype=np.float64)
    result[..., 0, :] = joints[..., 0, :] * scale[..., None, None]
    for joint in range(1, len(body)):  # parents come before their children
        result[..., joint, :] = result[..., body.parents[joint], :] + bones[..., joint, :]
    return result


def mirror_joints(joints: NDArray[Any]) -> NDArray[Any]:
    """Mirror SMPL joints [..., 22, 3]: negate x and swap left and right joints."""
    mirrored = joints[..., MIRROR_ORDER, :]
    mirrored[..., 0] *= -1
    return mirrored


def _check_joints(joints: NDArray[Any], count: int) -> None:
    if joints.ndim < 3 or joints.shape[-2:] != (count, 3):
        raise DataError(f"joints have shape {joints.shape}; expected [..., frames, {count}, 3]")
    if joints.shape[-3] < 2:
        raise DataError(
            "a motion needs at least two frames; its features include displacements between frames"
        )
    if not np.isfinite(joints).all():
        raise DataError("joints contain NaN or infinite values; repair or leave out this motion")
