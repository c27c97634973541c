"""From a recording to the canonical motion: 22 joints, 20 frames per second, metres, Y up, on one body.

Resampling interpolates each joint's rotation (slerp) and place in its parent's frame, and only then works out where
the joints are: bones keep their length, which they do not when positions are interpolated.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh.name_maps import choose
from hmu_tasks.data.datasets.bvh.reader import Recording
from hmu_tasks.data.motion.skeleton import FPS, JOINTS, PARENTS, RAW_OFFSETS
from hmu_tasks.runtime.errors import DataError

Units = Literal["auto", "m", "cm", "inch"] | float
Up = Literal["auto", "y", "z"]
Array = NDArray[np.float64]

METRES: Final[dict[str, float]] = {"m": 1.0, "cm": 0.01, "inch": 0.0254}
# Thigh and shin together, of grown people: 0.68 to 0.97 m (the 1st to the 99th percentile) with a margin.
SHORTEST_LEG, LONGEST_LEG = 0.55, 1.2

# Lengths of the bones that end at joints 1 to 21, in metres: the body to which every motion of HumanML3D was
# retargeted, measured on its published features.
_LENGTHS: Final = """
    0.1031 0.1099 0.1316 0.3936 0.3902 0.1432 0.4324 0.4256 0.0574 0.1434 0.1494
    0.2194 0.1375 0.1434 0.1030 0.1316 0.1230 0.2568 0.2631 0.2660 0.2699
"""
BODY: Final[NDArray[np.float32]] = (
    np.array([0.0, *map(float, _LENGTHS.split())], np.float32)[:, None] * RAW_OFFSETS
)
BODY.setflags(write=False)

_INDEX: Final = {name: number for number, name in enumerate(JOINTS)}
_SIDES: Final = {
    part: [_INDEX[f"left_{part}"], _INDEX[f"right_{part}"]] for part in ("hip", "knee", "ankle", "foot")
}
_ACROSS: Final = np.cos(np.radians(25))  # how straight the limbs of a T-pose are
_JUMP: Final = 6.0  # times the usual step between frames; a body does not move like this
_LEAST_JUMP: Final = 0.05  # metres, mean over the joints


@dataclass(frozen=True)
class Motion:
    """Canonical joints [F, 22, 3] (not yet placed or retargeted) and how they were found.

    metres: of one unit of the file; leg: thigh and shin in metres; t_pose: whether a first frame was dropped.
    """

    joints: Array
    skeleton: str
    metres: float
    leg: float
    up: str
    t_pose: bool


def convert(
    recording: Recording, *, skeleton: str = "auto", units: Units = "auto", up: Up = "auto"
) -> Motion:
    """Turn a recording into canonical joints; DataError says what stands against it.

    skeleton: see name_maps.choose; units: of the file, or metres per unit; up: its vertical axis.
    """
    chosen = choose(skeleton, recording.names)
    native = chosen.pick(recording.world(), recording.names)
    metres, leg = _scale(native, units)
    upright, axis = _upright(native * metres, up)
    t_pose = starts_with_t_pose(upright)
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
    return Motion(joints, chosen.name, metres, leg, axis, t_pose)


def resample(recording: Recording, fps: float = FPS) -> Recording:
    """Interpolate a recording at another frame rate, from its first frame to at most its last one."""
    frames = len(recording.positions)
    # A header's 0.033333 for 1/30 must not cost the last frame.
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
    """Whether frame 0 of upright joints [F, 22, 3] is a T-pose from which the body jumps into its motion."""
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
    spread = arms[0] @ across > _ACROSS and arms[1] @ -across > _ACROSS
    return bool(spread and all(leg[1] < -_ACROSS for leg in legs))


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
                f"has legs {leg:.4g} units long, which is no grown body in {', '.join(METRES)}; set "
                "ingest.bvh.units to its unit, or to the metres per unit, or mend the name map"
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
                "holds a body that stands neither along Y nor along Z, head up; set ingest.bvh.up to the axis that "
                "points up (a body that lies for most of the motion cannot be told by its pose)"
            )
        axis = "z" if along == 2 else "y"
    return (_turned(joints) if axis == "z" else joints), axis


def _turned(joints: Array) -> Array:
    # Z up to Y up: a quarter turn about X.
    return np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], axis=-1)


def _check_sides(joints: Array) -> None:
    """Knees bend to where the body faces and the lower foot points there; if not, left and right are exchanged."""
    across = joints[:, _INDEX["left_hip"]] - joints[:, _INDEX["right_hip"]]
    facing = np.cross(across, (0.0, 1.0, 0.0))
    hips, knees, ankles, feet = (joints[:, _SIDES[part]] for part in ("hip", "knee", "ankle", "foot"))
    lower = ankles[..., 1].argmin(axis=1)[:, None, None]
    toes = np.take_along_axis(feet - ankles, lower, axis=1)[:, 0]
    bends = (knees - (hips + ankles) / 2).sum(axis=1)
    if float((facing * (toes + bends)).sum(axis=-1).mean()) <= 0:
        raise DataError(
            "has knees and feet that point backwards: left and right are exchanged in the name map, or the file has "
            "left-handed axes"
        )


def _slerp(first: Array, second: Array, share: Array) -> Array:
    """Interpolate along the shorter arc between unit quaternions [..., 4] (Shoemake 1985)."""
    dot = (first * second).sum(axis=-1, keepdims=True)
    second = np.where(dot < 0, -second, second)
    angle = np.arccos(np.clip(np.abs(dot), 0, 1))
    sine = np.sin(angle)
    near = sine < 1e-6  # as good as equal: a straight line has no error here, and the division below would
    safe = np.where(near, 1, sine)
    left = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe)
    right = np.where(near, share, np.sin(share * angle) / safe)
    result = left * first + right * second
    normed: Array = result / np.linalg.norm(result, axis=-1, keepdims=True)
    return normed


def _unit(vector: Array) -> Array:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
