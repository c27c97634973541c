"""A motion as the text of a BVH file: one rigid skeleton, a turn per joint and frame, for animation programs."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion import rotations
from hmu_tasks.data.motion.skeleton import FPS, JOINT_COUNT, JOINTS, PARENTS, RAW_OFFSETS
from hmu_tasks.runtime.errors import DataError

Array = NDArray[np.float64]

_CENTIMETRES: Final = 100.0
_CHILDREN: Final = tuple(tuple(c for c in range(JOINT_COUNT) if PARENTS[c] == j) for j in range(JOINT_COUNT))
_TIP: Final = 0.1  # metres from a last joint to the End Site that the format asks for


def bvh_text(joints: NDArray[Any], *, fps: float = FPS) -> str:
    """Write joints [F, 22, 3] (metres, Y up) as BVH in centimetres, channels Z, X, Y in degrees.

    Bones get their mean length over the motion, so where the text puts a joint is off by as much as bone lengths vary.
    Joints with several children (pelvis, chest) are turned to fit them all best (Kabsch 1976); the others turn
    their bone the shortest way. Raises DataError for another shape or numbers that are not finite.
    """
    if joints.ndim != 3 or joints.shape[1:] != (JOINT_COUNT, 3) or not len(joints):
        raise DataError(f"joints have shape {joints.shape}; expected [frames, {JOINT_COUNT}, 3]")
    if not np.isfinite(joints).all():
        raise DataError("joints are not finite, so they cannot be written as BVH")
    places = joints.astype(np.float64)
    offsets = _rest_pose(places)
    turns = _turns(places, offsets)
    angles = np.degrees(_zxy(turns))[:, _order(0)]
    rows = np.concatenate([places[:, 0] * _CENTIMETRES, angles.reshape(len(places), -1)], axis=1)
    lines = ["HIERARCHY", *_hierarchy(0, offsets * _CENTIMETRES, 0)]
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.6f}"]
    lines += [" ".join(f"{value:.4f}" for value in row + 0.0) for row in rows]
    return "\n".join(lines) + "\n"


def _rest_pose(places: Array) -> Array:
    """Offsets [22, 3] of a body that stands: mean bone lengths, and children of one joint as they lie to each other."""
    bones = places[:, 1:] - places[:, PARENTS[1:]]
    offsets = RAW_OFFSETS.astype(np.float64)
    offsets[1:] *= np.linalg.norm(bones, axis=-1).mean(0)[:, None]
    for children in _CHILDREN:
        if len(children) > 1:
            seen = bones[:, np.array(children) - 1]
            rest = offsets[list(children)]
            for _ in range(5):  # mean shape and turns in alternation (generalised Procrustes analysis)
                rest = (seen @ _best_turns(rest, seen)).mean(0)
            offsets[list(children)] = rest
    return offsets


def _best_turns(rest: Array, seen: Array) -> Array:
    """Turns [F, 3, 3] that bring vectors rest [n, 3] nearest to seen [F, n, 3] (Kabsch 1976)."""
    left, _, right = np.linalg.svd(seen.transpose(0, 2, 1) @ rest)
    flip = np.linalg.det(left @ right)
    left[..., -1] *= flip[:, None]
    turns: Array = left @ right
    return turns


def _turns(places: Array, offsets: Array) -> Array:
    """Turn of every joint within its parent's frame, [F, 22, 3, 3]."""
    world = np.tile(np.eye(3), (len(places), JOINT_COUNT, 1, 1))
    for joint, children in enumerate(_CHILDREN):
        parent = PARENTS[joint]
        above = world[:, parent] if parent >= 0 else world[:, joint]
        bones = places[:, list(children)] - places[:, [joint]]
        if len(children) > 1:
            world[:, joint] = _best_turns(offsets[list(children)], bones)
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


def _zxy(turns: Array) -> Array:
    """Angles [..., 3] in radians of turns [..., 3, 3] as Z, then X, then Y in the turned frame: R = Rz Rx Ry."""
    x = np.arcsin(np.clip(turns[..., 2, 1], -1.0, 1.0))
    z = np.arctan2(-turns[..., 0, 1], turns[..., 1, 1])
    y = np.arctan2(-turns[..., 2, 0], turns[..., 2, 2])
    # Where X is a quarter turn, Z and Y turn about one axis: Z takes all of it.
    locked = np.abs(turns[..., 2, 1]) > 1 - 1e-9
    z = np.where(locked, np.arctan2(turns[..., 1, 0], turns[..., 0, 0]), z)
    return np.stack([z, x, np.where(locked, 0.0, y)], -1)


def _order(joint: int) -> list[int]:
    """Joints in the order in which the hierarchy names them: each before its children, one branch after the other."""
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
