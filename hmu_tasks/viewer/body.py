"""Limbs of the skeletons that the viewer draws, as joint pairs by side."""

from dataclasses import dataclass
from typing import Final

from hmu_tasks.runtime.errors import DataError

Bone = tuple[int, int]


@dataclass(frozen=True)
class Limbs:
    """Bones of the left and right limbs and of the spine, the joint that carries the head, and hands and feet."""

    left: tuple[Bone, ...]
    right: tuple[Bone, ...]
    spine: tuple[Bone, ...]
    head: int
    left_ends: tuple[int, ...]
    right_ends: tuple[int, ...]


# By number of joints: the 22 of SMPL, and KIT-ML's 21 of the Master Motor Map.
BODIES: Final[dict[int, Limbs]] = {
    22: Limbs(
        left=((0, 1), (1, 4), (4, 7), (7, 10), (9, 13), (13, 16), (16, 18), (18, 20)),
        right=((0, 2), (2, 5), (5, 8), (8, 11), (9, 14), (14, 17), (17, 19), (19, 21)),
        spine=((0, 3), (3, 6), (6, 9), (9, 12), (12, 15)),
        head=15,
        left_ends=(20, 10),
        right_ends=(21, 11),
    ),
    21: Limbs(
        left=((0, 16), (16, 17), (17, 18), (18, 19), (19, 20), (3, 8), (8, 9), (9, 10)),
        right=((0, 11), (11, 12), (12, 13), (13, 14), (14, 15), (3, 5), (5, 6), (6, 7)),
        spine=((0, 1), (1, 2), (2, 3), (3, 4)),
        head=4,
        left_ends=(10, 20),
        right_ends=(7, 15),
    ),
}


def body_of(joints: int) -> Limbs:
    """Return the limbs of a skeleton with that many joints; raises DataError if it is unknown."""
    if joints not in BODIES:
        raise DataError(f"motions have {joints} joints; the viewer can draw {', '.join(map(str, BODIES))}")
    return BODIES[joints]
