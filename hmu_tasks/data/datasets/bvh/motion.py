"""Convert a recording to a canonical motion: 22 joints, 20 frames per second, metres, Y up.

Resampling interpolates each joint's local rotation (slerp) and position before forward kinematics, so bones keep their
length, which interpolating world positions would not preserve.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh.name_maps import choose
from hmu_tasks.data.datasets.bvh.reader import Recording
from hmu_tasks.data.motion.skeleton import FPS, JOINTS, PARENTS
from hmu_tasks.runtime.errors import DataError

Units = Literal["auto", "m", "cm", "inch"] | float
Up = Literal["auto", "y", "z"]
Array = NDArray[np.float64]

METRES: Final[dict[str, float]] = {"m": 1.0, "cm": 0.01, "inch": 0.0254}
# Thigh plus shin of adults: 0.68 to 0.97 m (1st to 99th percentile), with a margin.
SHORTEST_LEG, LONGEST_LEG = 0.55, 1.2

_INDEX: Final = {name: number for number, name in enumerate(JOINTS)}
_SIDES: Final = {
    part: [_INDEX[f"left_{part}"], _INDEX[f"right_{part}"]] for part in ("hip", "knee", "ankle", "foot")
}
_STRAIGHT: Final = np.cos(np.radians(25))  # limbs of a T-pose deviate at most this much
_JUMP: Final = 6.0  # multiple of the median step between frames; bodies do not move like this
_LEAST_JUMP: Final = 0.05  # metres, mean over the joints


@dataclass(frozen=True)
class Motion:
    """Canonical joints [F, 22, 3], not yet retargeted or placed, and how the file was interpreted.

    metres: per unit of the file; leg: thigh plus shin in metres; t_pose: whether a leading T-pose was dropped;
    assumed: see `grammar.Document`.
    """

    joints: Array
    skeleton: str
    metres: float
    leg: float
    up: str
    t_pose: bool
    assumed: tuple[str, ...] = ()


def convert(
    recording: Recording, *, skeleton: str = "auto", units: Units = "auto", up: Up = "auto"
) -> Motion:
    """Convert a recording to canonical joints; raises DataError if it cannot be interpreted.

    skeleton: see name_maps.choose; units: of the file, or metres per unit; up: its vertical axis.
    """
    chosen = choose(skeleton, recording.names)
    native = chosen.pick(recording.world(), recording.names)
    metres, leg = _scale(native, units)
    upright, axis = _upright(native * metres, up)
    t_pose = starts_with_t_pose(upright)
    assumed = recording.assumed
    if t_pose:
        recording = Recording(
            recording.names,
            recording.parents,
            recording.positions[1:],
            recording.rotations[1:],
            recording.seconds,
        )
    sampled = resample(recording)
    joints = chosen.pick(sampled.world(), sampled.names) * metres
    joints = _turned(joints) if axis == "z" else joints
    _check_sides(joints)
    return Motion(joints, chosen.name, metres, leg, axis, t_pose, assumed)


def resample(recording: Recording, fps: float = FPS) -> Recording:
    """Resample a recording to another frame rate, from its first frame to at most its last."""
    frames = len(recording.positions)
    # The tolerance keeps the last frame when the header rounds 1/30 to 0.033333.
    count = int((frames - 1) * recording.seconds * fps + 1e-3) + 1
    at = np.minimum(np.arange(count) / (fps * recording.seconds), frames - 1)
    before = np.minimum(at.astype(np.intp), frames - 2)
    share = (at - before)[:, None, None]
    first, second = recording.rotations[before], recording.rotations[before + 1]
    return Recording(
        recording.names,
        recording.parents,
        recording.positions[before] * (1 - share) + recording.positions[before + 1] * share,
        _slerp(first, second, share),
        1 / fps,
    )


def starts_with_t_pose(joints: Array) -> bool:
    """Whether frame 0 of upright joints [F, 22, 3] is a T-pose followed by a jump into the motion."""
    if len(joints) < 4:
        return False
    seen = joints - joints[:, :1]
    steps = np.linalg.norm(np.diff(seen, axis=0), axis=-1).mean(axis=-1)
    if steps[0] < max(_LEAST_JUMP, _JUMP * float(np.median(steps[1:]))):
        return False
    first = joints[0]
    across = _unit(first[_INDEX["left_hip"]] - first[_INDEX["right_hip"]])
    arms = [
        _unit(first[_INDEX[f"{side}_wrist"]] - first[_INDEX[f"{side}_shoulder"]])
        for side in ("left", "right")
    ]
    legs = [
        _unit(first[_INDEX[f"{side}_ankle"]] - first[_INDEX[f"{side}_hip"]]) for side in ("left", "right")
    ]
    spread = arms[0] @ across > _STRAIGHT and arms[1] @ -across > _STRAIGHT
    return bool(spread and all(leg[1] < -_STRAIGHT for leg in legs))


def _scale(native: Array, units: Units) -> tuple[float, float]:
    bones = np.linalg.norm(native[:, 1:] - native[:, list(PARENTS[1:])], axis=-1).mean(axis=0)
    leg = float(
        bones[[_INDEX[name] - 1 for name in ("left_knee", "right_knee", "left_ankle", "right_ankle")]].sum()
        / 2
    )
    if leg <= 0:
        raise DataError("has legs without length; its skeleton or name map is wrong")
    if units == "auto":
        fitting = [metres for metres in METRES.values() if SHORTEST_LEG <= leg * metres <= LONGEST_LEG]
        if len(fitting) != 1:
            raise DataError(
                f"has legs {leg:.4g} units long, which is not an adult body in {', '.join(METRES)}; set "
                "ingest.bvh.units to its unit, or to the metres per unit, or correct the name map"
            )
        metres = fitting[0]
    else:
        metres = METRES[units] if isinstance(units, str) else float(units)
    return metres, leg * metres


def _upright(joints: Array, up: Up) -> tuple[Array, str]:
    rise = (
        joints[:, _INDEX["head"]] - joints[:, [_INDEX["left_ankle"], _INDEX["right_ankle"]]].mean(axis=1)
    ).mean(axis=0)
    if up != "auto":
        axis = up
    else:
        along = int(np.abs(rise).argmax())
        if along == 0 or rise[along] <= 0:
            raise DataError(
                "has a body upright along neither Y nor Z; set ingest.bvh.up to the axis that points up (it cannot be "
                "inferred for a body that lies down for most of the motion)"
            )
        axis = "z" if along == 2 else "y"
    return (_turned(joints) if axis == "z" else joints), axis


def _turned(joints: Array) -> Array:
    # Z up to Y up: a quarter turn about X.
    return np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], axis=-1)


def _check_sides(joints: Array) -> None:
    """Raise DataError if knees and the lower foot point backwards, a sign that left and right are swapped."""
    across = joints[:, _INDEX["left_hip"]] - joints[:, _INDEX["right_hip"]]
    facing = np.cross(across, (0.0, 1.0, 0.0))
    hips, knees, ankles, feet = (joints[:, _SIDES[part]] for part in ("hip", "knee", "ankle", "foot"))
    lower = ankles[..., 1].argmin(axis=1)[:, None, None]
    toes = np.take_along_axis(feet - ankles, lower, axis=1)[:, 0]
    bends = (knees - (hips + ankles) / 2).sum(axis=1)
    if float((facing * (toes + bends)).sum(axis=-1).mean()) <= 0:
        raise DataError(
            "has knees and feet that point backwards: left and right are swapped in the name map, or the file has "
            "left-handed axes"
        )


def _slerp(first: Array, second: Array, share: Array) -> Array:
    """Interpolate along the shorter arc between unit quaternions [..., 4] (Shoemake 1985)."""
    dot = (first * second).sum(axis=-1, keepdims=True)
    second = np.where(dot < 0, -second, second)
    angle = np.arccos(np.clip(np.abs(dot), 0, 1))
    sine = np.sin(angle)
    near = sine < 1e-6  # nearly equal: linear interpolation is exact here, and slerp would divide by zero
    safe = np.where(near, 1, sine)
    left = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe)
    right = np.where(near, share, np.sin(share * angle) / safe)
    result = left * first + right * second
    normed: Array = result / np.linalg.norm(result, axis=-1, keepdims=True)
    return normed


def _unit(vector: Array) -> Array:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
