"""Skeletons: the first 22 joints of SMPL (HumanML3D, Motion-X) and the 21 joints of KIT-ML.

SMPL joints and names: Loper et al. 2015. KIT-ML: the Master Motor Map, Terlemez et al. 2014. Chains and unit offsets
are those behind the published features of both (Guo et al. 2022, "Generating Diverse and Natural 3D Human Motions from
Text"). Axes: X to the body's left, Y up, Z forward. Lengths in metres.
The module constants are those of the 22 SMPL joints; `SMPL` and `MMM` are the two skeletons as values.
"""

from dataclasses import dataclass
from functools import cached_property
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

# Right leg, left leg, spine and head, right arm, left arm: the order in which bones are plotted and solved.
CHAINS: Final[tuple[tuple[int, ...], ...]] = (
    (0, 2, 5, 8, 11),
    (0, 1, 4, 7, 10),
    (0, 3, 6, 9, 12, 15),
    (9, 14, 17, 19, 21),
    (9, 13, 16, 18, 20),
)

# Direction of the bone that ends at each joint in the reference pose (arms down, feet forward).
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

# Right hip, left hip, right shoulder, left shoulder: the joints that define the facing direction.
FACE_JOINTS: Final[tuple[int, int, int, int]] = (2, 1, 17, 16)

LEFT_FOOT: Final[tuple[int, int]] = (7, 10)  # ankle, foot
RIGHT_FOOT: Final[tuple[int, int]] = (8, 11)
# Thigh and shin of the right leg: their lengths scale one body to another.
LEG: Final[tuple[int, int]] = (5, 8)


def _mirror_order() -> NDArray[np.intp]:
    order = np.arange(JOINT_COUNT)
    order[list(LEFT)], order[list(RIGHT)] = list(RIGHT), list(LEFT)
    order.setflags(write=False)
    return order


MIRROR_ORDER: Final[NDArray[np.intp]] = _mirror_order()


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A skeleton: joints, their parents, and the joints that define facing direction, foot contact and leg length.

    chains: the order in which rotations are solved. offsets: [J, 3] bone directions in the reference pose.
    face: right hip, left hip, right shoulder, left shoulder. left_foot, right_foot: ankle and foot. leg: the two
    joints whose bones scale one body to another.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    chains: tuple[tuple[int, ...], ...]
    offsets: NDArray[np.float32]
    face: tuple[int, int, int, int]
    left_foot: tuple[int, int]
    right_foot: tuple[int, int]
    leg: tuple[int, int]

    def __len__(self) -> int:
        """Number of joints."""
        return len(self.joints)

    @property
    def feet(self) -> tuple[int, ...]:
        """Both ankles and feet, left before right, in the order of the contact features."""
        return self.left_foot + self.right_foot

    @property
    def toes(self) -> tuple[int, int]:
        """The last joint of the left and of the right foot."""
        return self.left_foot[1], self.right_foot[1]

    @cached_property
    def levels(self) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
        """For each n, the parents and the n-th joints of all chains, so that one step solves all chains at once.

        "Parent" is the joint that the rotation is relative to: every chain starts from the heading (row 0), though the
        arms are attached to a spine joint.
        """
        levels = []
        for step in range(1, max(map(len, self.chains))):
            chains = [chain for chain in self.chains if len(chain) > step]
            before = [chain[step - 1] if step > 1 else 0 for chain in chains]
            levels.append((np.array(before), np.array([chain[step] for chain in chains])))
        return tuple(levels)


SMPL: Final = Skeleton(
    joints=JOINTS,
    parents=PARENTS,
    chains=CHAINS,
    offsets=RAW_OFFSETS,
    face=FACE_JOINTS,
    left_foot=LEFT_FOOT,
    right_foot=RIGHT_FOOT,
    leg=LEG,
)


def _mmm_offsets() -> NDArray[np.float32]:
    x, y, z = np.eye(3, dtype=np.float32)
    spine, arm, leg = [0 * x, y, y, y, y], [-y, -y], [-y, -y, z, z]
    offsets = np.array([*spine, x, *arm, -x, *arm, x, *leg, -x, *leg])
    offsets.setflags(write=False)
    return offsets


# The released preparation script takes joints 5 to 7 and 11 to 15 for the right side, and the published features
# follow it; the source files call them left, and the reference pose has them at +X. Names here follow the features.
MMM: Final = Skeleton(
    joints=(
        "root",
        "spine",
        "chest",
        "neck",
        "head",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_hip",
        "right_knee",
        "right_ankle",
        "right_heel",
        "right_foot",
        "left_hip",
        "left_knee",
        "left_ankle",
        "left_heel",
        "left_foot",
    ),
    parents=(-1, 0, 1, 2, 3, 3, 5, 6, 3, 8, 9, 0, 11, 12, 13, 14, 0, 16, 17, 18, 19),
    chains=((0, 11, 12, 13, 14, 15), (0, 16, 17, 18, 19, 20), (0, 1, 2, 3, 4), (3, 5, 6, 7), (3, 8, 9, 10)),
    offsets=_mmm_offsets(),
    face=(11, 16, 5, 8),
    left_foot=(19, 20),
    right_foot=(14, 15),
    leg=(17, 18),
)
