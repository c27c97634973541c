"""The body every motion here has: the first 22 joints of SMPL, as HumanML3D orders and connects them.

Joints and their names: Loper et al. 2015 (SMPL). Chains and unit offsets: those behind the published 263-d
features (Guo et al. 2022, "Generating Diverse and Natural 3D Human Motions from Text").
Axes: X to the body's left, Y up, Z forward. Lengths in metres.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

JOINTS: Final[tuple[str, ...]] = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
)
JOINT_COUNT: Final = len(JOINTS)
FPS: Final = 20.0

PARENTS: Final[tuple[int, ...]] = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)

# Right leg, left leg, spine and head, right arm, left arm: the order in which bones are drawn and solved.
CHAINS: Final[tuple[tuple[int, ...], ...]] = (
    (0, 2, 5, 8, 11),
    (0, 1, 4, 7, 10),
    (0, 3, 6, 9, 12, 15),
    (9, 14, 17, 19, 21),
    (9, 13, 16, 18, 20),
)

# Direction of the bone that ends at each joint in the reference pose (arms hang, feet point forward).
RAW_OFFSETS: Final[NDArray[np.float32]] = np.array(
    [
        [0, 0, 0],
        [1, 0, 0],
        [-1, 0, 0],
        [0, 1, 0],
        [0, -1, 0],
        [0, -1, 0],
        [0, 1, 0],
        [0, -1, 0],
        [0, -1, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [-1, 0, 0],
        [0, 0, 1],
        [0, -1, 0],
        [0, -1, 0],
        [0, -1, 0],
        [0, -1, 0],
        [0, -1, 0],
        [0, -1, 0],
    ],
    dtype=np.float32,
)
RAW_OFFSETS.setflags(write=False)

LEFT: Final[tuple[int, ...]] = (1, 4, 7, 10, 13, 16, 18, 20)
RIGHT: Final[tuple[int, ...]] = (2, 5, 8, 11, 14, 17, 19, 21)
MIRROR_PAIRS: Final[tuple[tuple[int, int], ...]] = tuple(zip(LEFT, RIGHT, strict=True))

# Right hip, left hip, right shoulder, left shoulder: the joints that say where the body faces.
FACE_JOINTS: Final[tuple[int, int, int, int]] = (2, 1, 17, 16)

LEFT_FOOT: Final[tuple[int, int]] = (7, 10)  # ankle, foot
RIGHT_FOOT: Final[tuple[int, int]] = (8, 11)
LEG: Final[tuple[int, int]] = (
    5,
    8,
)  # thigh and shin of the right leg: their lengths scale one body to another


def _mirror_order() -> NDArray[np.intp]:
    order = np.arange(JOINT_COUNT)
    order[list(LEFT)], order[list(RIGHT)] = list(RIGHT), list(LEFT)
    order.setflags(write=False)
    return order


MIRROR_ORDER: Final[NDArray[np.intp]] = _mirror_order()
