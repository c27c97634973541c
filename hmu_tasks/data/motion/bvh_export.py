"""Export a motion as BVH text for animation software: a rigid skeleton with a rotation per joint and frame."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion import rotations
from hmu_tasks.data.motion.skeleton import FPS, JOINT_COUNT, JOINTS, PARENTS, RAW_OFFSETS
from hmu_tasks.runtime.errors import DataError

Array = NDArray[np.float64]

_CENTIMETRES: Final = 100.0
_CHILDREN: Final = tuple(tuple(c for c in range(JOINT_COUNT) if PARENTS[c] == j) for j in range(JOINT_COUNT))
_TIP: Final = 0.1  # metres from a leaf joint to the End Site that the format requires


def bvh_text(joints: NDArray[Any], *, fps: float = FPS) -> str:
    """Write joints [F, 22, 3] (metres, Y up) as BVH in centimetres, rotation channels Z, X, Y in degrees.

    Bones get their mean length over the motion, so joint positions are off by as much as bone lengths vary. Joints
    with several children (pelvis, chest) get the least-squares rotation (Kabsch 1976), the others the shortest
    rotation onto their bone. Raises DataError for a wrong shape or non-finite values.
    """
    if joints.ndim != 3 or joints.shape[1:] != (JOINT_COUNT, 3) or not len(joints):
        raise DataError(f"joints have shape {joints.shape}; expected [frames, {JOINT_COUNT}, 3]")
    if not np.isfinite(joints).all():
        raise DataError("joints contain NaN or infinite values, which BVH cannot hold")
    positions = joints.astype(np.float64)
    offsets = rest_pose(positions)
    angles = np.degrees(_zxy(local_rotations(positions, offsets)))[:, _order(0)]
    rows = np.concatenate([positions[:, 0] * _CENTIMETRES, angles.reshape(len(positions), -1)], axis=1)
    lines = ["HIERARCHY", *_hierarchy(0, offsets * _CENTIMETRES, 0)]
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.6f}"]
    lines += [" ".join(f"{value:.4f}" for value in row + 0.0) for row in rows]
    return "\n".join(lines) + "\n"


def rest_pose(positions: Array) -> Array:
    """Offsets [22, 3] of the rest pose: mean bone lengths; siblings keep their mean relative positions."""
    bones = positions[:, 1:] - positions[:, PARENTS[1:]]
    offsets = RAW_OFFSETS.astype(np.float64)
    offsets[1:] *= np.linalg.norm(bones, axis=-1).mean(0)[:, None]
    for children in _CHILDREN:
        if len(children) > 1:
            seen = bones[:, np.array(children) - 1]
            rest = offsets[list(children)]
            for _ in range(5):  # alternate mean shape and rotations (generalised Procrustes analysis)
                rest = (seen @ _best_rotations(rest, seen)).mean(0)
            offsets[list(children)] = rest
    return offsets


def _best_rotations(rest: Array, seen: Array) -> Array:
    """Least-squares rotations [F, 3, 3] of vectors rest [n, 3] onto seen [F, n, 3] (Kabsch 1976)."""
    left, _, right = np.linalg.svd(seen.transpose(0, 2, 1) @ rest)
    flip = np.linalg.det(left @ right)
    left[..., -1] *= flip[:, None]
    matrices: Array = left @ right
    return matrices


def local_rotations(positions: Array, offsets: Array) -> Array:
    """Rotation of every joint relative to its parent, [F, 22, 3, 3]."""
    world = np.tile(np.eye(3), (len(positions), JOINT_COUNT, 1, 1))
    for joint, children in enumerate(_CHILDREN):
        parent = PARENTS[joint]
        above = world[:, parent] if parent >= 0 else world[:, joint]
        bones = positions[:, list(children)] - positions[:, [joint]]
        if len(children) > 1:
            world[:, joint] = _best_rotations(offsets[list(children)], bones)
        elif children:
            shortest = rotations.between(above @ offsets[children[0]], bones[:, 0])
            world[:, joint] = rotations.six_to_matrix(rotations.to_six(shortest)) @ above
        else:
            world[:, joint] = above
    local = world.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            local[:, joint] = world[:, parent].transpose(0, 2, 1) @ world[:, joint]
    return local


def _zxy(matrices: Array) -> Array:
    """Euler angles [..., 3] (Z, X, Y, radians) of rotation matrices [..., 3, 3], intrinsic: R = Rz Rx Ry."""
    x = np.arcsin(np.clip(matrices[..., 2, 1], -1.0, 1.0))
    z = np.arctan2(-matrices[..., 0, 1], matrices[..., 1, 1])
    y = np.arctan2(-matrices[..., 2, 0], matrices[..., 2, 2])
    # Gimbal lock: with X at a quarter turn, Z and Y rotate about the same axis, so Z takes all of it.
    locked = np.abs(matrices[..., 2, 1]) > 1 - 1e-9
    z = np.where(locked, np.arctan2(matrices[..., 1, 0], matrices[..., 0, 0]), z)
    return np.stack([z, x, np.where(locked, 0.0, y)], -1)


def _order(joint: int) -> list[int]:
    """Joints in depth-first order, as the hierarchy lists them."""
    return [joint, *(below for child in _CHILDREN[joint] for below in _order(child))]


def _hierarchy(joint: int, offsets: Array, depth: int) -> list[str]:
    pad, inner = "  " * depth, "  " * (depth + 1)
    channels = "Zrotation Xrotation Yrotation"
    if depth == 0:
        head, channels = f"ROOT {JOINTS[joint]}", f"CHANNELS 6 Xposition Yposition Zposition {channels}"
    else:
        head, channels = f"JOINT {JOINTS[joint]}", f"CHANNELS 3 {channels}"
    start = np.zeros(3) if depth == 0 else offsets[joint]
    lines = [f"{pad}{head}", f"{pad}{{", f"{inner}{_offset(start)}", f"{inner}{channels}"]
    for child in _CHILDREN[joint]:
        lines += _hierarchy(child, offsets, depth + 1)
    if not _CHILDREN[joint]:
        tip = RAW_OFFSETS[joint] * _TIP * _CENTIMETRES
        lines += [f"{inner}End Site", f"{inner}{{", f"{inner}  {_offset(tip)}", f"{inner}}}"]
    return [*lines, f"{pad}}}"]


def _offset(values: NDArray[Any]) -> str:
    return "OFFSET " + " ".join(f"{value:.4f}" for value in values + 0.0)
