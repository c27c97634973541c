"""The body of a clip: bone lengths, and joints from posture channels by forward and inverse kinematics."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Metres, close to the mean SMPL body; x left, y up, z forward.
_BASE = {
    "hip_out": 0.068,
    "hip_down": 0.085,
    "thigh": 0.385,
    "shin": 0.395,
    "foot": 0.140,
    "spine1": 0.115,
    "spine2": 0.135,
    "spine3": 0.060,
    "neck": 0.205,
    "head": 0.110,
    "collar_out": 0.075,
    "collar_up": 0.110,
    "shoulder": 0.115,
    "arm": 0.260,
    "forearm": 0.250,
}
ANKLE_HEIGHT = 0.075
TOE_HEIGHT = 0.020
_SIDES = np.array([1.0, -1.0])  # left, right


@dataclass(frozen=True)
class Body:
    """Bone lengths of one clip in metres; left and right are equal."""

    hip_out: float
    hip_down: float
    thigh: float
    shin: float
    foot: float
    spine1: float
    spine2: float
    spine3: float
    neck: float
    head: float
    collar_out: float
    collar_up: float
    shoulder: float
    arm: float
    forearm: float

    @property
    def leg_length(self) -> float:
        """Hip to ankle with a straight knee."""
        return self.thigh + self.shin

    @property
    def arm_length(self) -> float:
        """Shoulder to wrist with a straight elbow."""
        return self.arm + self.forearm

    @property
    def standing(self) -> float:
        """Pelvis height when standing relaxed."""
        return self.hip_down + ANKLE_HEIGHT + 0.985 * self.leg_length

    @property
    def foot_forward(self) -> float:
        """Horizontal distance from ankle to toe with the foot flat."""
        return float(np.sqrt(self.foot**2 - (ANKLE_HEIGHT - TOE_HEIGHT) ** 2))


def random_body(rng: np.random.Generator) -> Body:
    """Sample bone lengths within 8 % of the mean body: a global scale times one factor per bone."""
    size = 1.0 + 0.045 * rng.uniform(-1.0, 1.0)
    part = 1.0 + 0.032 * rng.uniform(-1.0, 1.0, len(_BASE))
    return Body(*(float(size * own * base) for own, base in zip(part, _BASE.values(), strict=True)))


@dataclass(frozen=True)
class Posture:
    """Posture channels of n frames, in the frame that travels and turns with the body (x left, y up, z forward).

    pelvis: [n, 3] metres; turns: [n, 5, 3] pitch, lean and yaw in radians of pelvis, three spine joints and head
    (forward pitch, lean and yaw to the left are positive); hands: [n, 2, 3] wrist minus shoulder in arm lengths as
    (outwards, up, forward); elbows: [n, 2] from 0, pointing down, to 1, pointing sideways; ankles: [n, 2, 3] metres,
    of a foot on the floor; foot_pitch, foot_yaw: [n, 2]; kicks: [n, 2, 3] ankle minus hip in leg lengths as (outwards,
    up, forward), blended in by weight; weight, knee_out, toe_point: [n, 2]. Left comes first.
    """

    pelvis: Array
    turns: Array
    hands: Array
    elbows: Array
    ankles: Array
    foot_pitch: Array
    foot_yaw: Array
    kicks: Array
    weight: Array
    knee_out: Array
    toe_point: Array


def _rotations(angles: Array) -> Array:
    """[..., 3] pitch, lean, yaw -> [..., 3, 3] with R = yaw @ pitch @ lean."""
    pitch, lean, yaw = angles[..., 0], -angles[..., 1], angles[..., 2]
    cp, sp, cl, sl, cy, sy = (
        np.cos(pitch),
        np.sin(pitch),
        np.cos(lean),
        np.sin(lean),
        np.cos(yaw),
        np.sin(yaw),
    )
    out = np.empty((*angles.shape[:-1], 3, 3))
    out[..., 0, 0] = cy * cl + sy * sp * sl
    out[..., 0, 1] = -cy * sl + sy * sp * cl
    out[..., 0, 2] = sy * cp
    out[..., 1, 0] = cp * sl
    out[..., 1, 1] = cp * cl
    out[..., 1, 2] = -sp
    out[..., 2, 0] = -sy * cl + cy * sp * sl
    out[..., 2, 1] = sy * sl + cy * sp * cl
    out[..., 2, 2] = cy * cp
    return out


def _dot(a: Array, b: Array) -> Array:
    product: Array = np.einsum("...i,...i->...", a, b)[..., None]
    return product


def _unit(a: Array) -> Array:
    return a / np.sqrt(np.maximum(_dot(a, a), 1e-12))


def _two_bones(start: Array, reach: Array, first: float, second: float, pole: Array) -> tuple[Array, Array]:
    """Middle and end joint of a two-bone limb from `start` towards `start + reach`, bent towards `pole`."""
    distance = np.sqrt(np.maximum(_dot(reach, reach), 1e-9))
    direction = reach / distance
    distance = np.clip(distance, 0.22 * (first + second), 0.998 * (first + second))
    along = (first**2 - second**2 + distance**2) / (2.0 * distance)
    bend = np.sqrt(np.maximum(first**2 - along**2, 0.0))
    side = _unit(pole - _dot(pole, direction) * direction)
    return start + along * direction + bend * side, start + distance * direction


def _carried(level: Array, limb: Array) -> Array:
    """Rotate a horizontal direction by the shortest rotation that takes a hanging limb to the unit vector `limb`."""
    between = limb - np.array([0.0, 1.0, 0.0])
    carried: Array = level - _dot(level, limb) / np.maximum(1.0 - limb[..., 1:2], 0.15) * between
    return carried


def _outwards(vectors: Array) -> Array:
    """Convert [n, 2, 3] from (outwards, up, forward) to (left, up, forward)."""
    out = vectors.copy()
    out[:, 1, 0] *= -1.0
    return out


def _support_drop(hips: Array, ankles: Array, weight: Array, leg: float) -> Array:
    """How far the pelvis must drop to keep both feet on the floor within reach."""
    flat = ankles[..., [0, 2]] - hips[..., [0, 2]]
    reach = np.sqrt(np.maximum((0.995 * leg) ** 2 - np.einsum("nsi,nsi->ns", flat, flat), (0.25 * leg) ** 2))
    drop: Array = np.maximum((hips[..., 1] - ankles[..., 1] - reach) * (1.0 - weight), 0.0).max(axis=1)
    return drop


def pose(body: Body, posture: Posture, smooth: "Smoother") -> Array:
    """Joints [n, 22, 3] in metres in the travelling frame; bone lengths are exact."""
    n = len(posture.pelvis)
    rotation = _rotations(posture.turns)
    joints = np.empty((n, 22, 3))
    hip = np.array([[body.hip_out, -body.hip_down, 0.0], [-body.hip_out, -body.hip_down, 0.0]])
    hips = np.einsum("nij,sj->nsi", rotation[:, 0], hip)
    pelvis = posture.pelvis.copy()
    leg = body.leg_length
    pelvis[:, 1] -= smooth(_support_drop(pelvis[:, None] + hips, posture.ankles, posture.weight, leg))
    joints[:, 0] = pelvis
    hips = hips + pelvis[:, None]
    joints[:, 1:3] = hips
    lengths = (body.spine1, body.spine2, body.spine3, body.neck, body.head)
    last = pelvis
    for level, (joint, length) in enumerate(zip((3, 6, 9, 12, 15), lengths, strict=True)):
        last = last + rotation[:, level, :, 1] * length
        joints[:, joint] = last
    chest = rotation[:, 3]
    collars = np.array([[body.collar_out, body.collar_up, 0.0], [-body.collar_out, body.collar_up, 0.0]])
    joints[:, 13:15] = joints[:, 9, None] + np.einsum("nij,sj->nsi", chest, collars)
    joints[:, 16:18] = joints[:, 13:15] + _SIDES[:, None] * (chest[:, None, :, 0] * body.shoulder)

    hands = _outwards(posture.hands) * body.arm_length
    behind = _outwards(np.broadcast_to(np.array([0.40, 0.0, -0.90]), hands.shape))
    # A raised elbow is level with the hand: outside of a hand in front, in front of a hand across the chest.
    beside = np.stack([posture.hands[..., 2], np.zeros_like(posture.elbows), -posture.hands[..., 0]], axis=-1)
    sideways = _outwards(_unit(beside) + np.array([0.30, 0.20, 0.0]))
    raised = posture.elbows[..., None]
    direction = _unit(hands)
    # Straight overhead the carried direction is undefined; there the elbow points outwards.
    top = np.clip(1.5 - 2.0 * (1.0 - direction[..., 1:2]), 0.0, 1.0)
    raised = np.maximum(raised, top * top * (3.0 - 2.0 * top))
    pole = (1.0 - raised) * _carried(behind, direction) + raised * sideways
    joints[:, 18:20], joints[:, 20:22] = _two_bones(joints[:, 16:18], hands, body.arm, body.forearm, pole)

    weight = posture.weight[..., None]
    reach = (1.0 - weight) * (posture.ankles - hips) + weight * (_outwards(posture.kicks) * leg)
    yaw = 0.5 * posture.foot_yaw + 0.5 * posture.turns[:, :1, 2] + _SIDES * (0.10 + posture.knee_out)
    front = np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], axis=-1)
    pole = _carried(front, _unit(reach))
    knees, ankles = _two_bones(hips, reach, body.thigh, body.shin, pole)
    joints[:, 4:6], joints[:, 7:9] = knees, ankles
    joints[:, 10:12] = ankles + body.foot * _feet(body, posture, knees, ankles, pole)
    return joints


def _feet(body: Body, posture: Posture, knees: Array, ankles: Array, pole: Array) -> Array:
    """Unit vectors [n, 2, 3] from ankle to toe: flat or pitched on the floor, relative to the shin in a kick."""
    pitch = np.arcsin((ANKLE_HEIGHT - TOE_HEIGHT) / body.foot) + posture.foot_pitch
    # The toe never goes below the floor, whatever the pitch.
    sine = np.minimum(np.sin(pitch), (ankles[..., 1] - TOE_HEIGHT) / body.foot)
    sine = np.clip(sine, -0.95, 0.98)
    cosine = np.sqrt(1.0 - sine**2)
    yaw = posture.foot_yaw + 0.12 * _SIDES
    flat = np.stack([np.sin(yaw) * cosine, -sine, np.cos(yaw) * cosine], axis=-1)
    shin = _unit(ankles - knees)
    ahead = _unit(pole - _dot(pole, shin) * shin)
    point = posture.toe_point[..., None]
    kicked = np.cos(point) * ahead + np.sin(point) * shin
    weight = posture.weight[..., None]
    feet = _unit((1.0 - weight) * flat + weight * kicked)
    deepest = np.clip((ankles[..., 1:2] - 0.5 * TOE_HEIGHT) / body.foot, 0.0, 1.0)
    sideways = feet * np.array([1.0, 0.0, 1.0])
    clipped = np.sqrt(1.0 - deepest**2) * _unit(sideways) - deepest * np.array([0.0, 1.0, 0.0])
    return np.where(-feet[..., 1:2] > deepest, clipped, feet)


class Smoother:
    """Smooth upper envelope of a curve: a running maximum, then a running mean of the same width."""

    def __init__(self, width: int = 5) -> None:
        self.width = width

    def __call__(self, curve: Array) -> Array:
        """Envelope [n] of `curve` [n], nowhere below it."""
        half = self.width // 2
        padded = np.pad(curve, 2 * half, mode="edge")
        cover = np.lib.stride_tricks.sliding_window_view(padded, self.width).max(axis=1)
        mean: Array = np.lib.stride_tricks.sliding_window_view(cover, self.width).mean(axis=1)
        return mean
