"""Which of HumanML3D's 263 numbers per frame means what; the only place that counts them."""

from typing import Final

from hmu_tasks.data.skeleton import JOINTS

DIMENSIONS: Final = 263
ROOT: Final = slice(
    0, 4
)  # half heading turn (radians), step to the left, step ahead (metres per frame), height
LOCAL_POSITIONS: Final = slice(
    4, 67
)  # joints 1..21 x 3: metres, seen from below the pelvis, body turned to +Z
ROTATIONS: Final = slice(67, 193)  # joints 1..21 x 6: relative to the joint before
VELOCITIES: Final = slice(193, 259)  # joints 0..21 x 3: metres per frame, body turned to +Z
CONTACTS: Final = slice(259, 263)  # left ankle, left foot, right ankle, right foot: 1 = standing still

GROUPS: Final[dict[str, slice]] = {
    "root": ROOT,
    "local_positions": LOCAL_POSITIONS,
    "rotations": ROTATIONS,
    "velocities": VELOCITIES,
    "contacts": CONTACTS,
}


def _names() -> tuple[str, ...]:
    moving = JOINTS[1:]
    return (
        "root.turn",
        "root.step_x",
        "root.step_z",
        "root.height",
        *(f"{joint}.position_{axis}" for joint in moving for axis in "xyz"),
        *(f"{joint}.rotation_{part}" for joint in moving for part in range(6)),
        *(f"{joint}.velocity_{axis}" for joint in JOINTS for axis in "xyz"),
        *(f"{joint}.contact" for joint in ("left_ankle", "left_foot", "right_ankle", "right_foot")),
    )


NAMES: Final[tuple[str, ...]] = _names()
assert len(NAMES) == DIMENSIONS
