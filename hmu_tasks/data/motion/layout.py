"""Which number of a frame's features means what; the only place that counts them.

A body of J joints has 12 J - 1 numbers per frame (Guo et al. 2022): HumanML3D's 22 joints 263, KIT-ML's 21 joints 251.
The constants of this module are those of the 263; `HUMANML3D` and `KITML` hold both representations as values.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hmu_tasks.data.motion.skeleton import MMM, SMPL, Skeleton
from hmu_tasks.runtime.errors import DataError


@dataclass(frozen=True, eq=False)
class Layout:
    """A motion representation, from which its width, slices and names follow.

    metres: length of the unit of its positions. still: squared length per squared frame, in that unit, below which a
    foot counts as standing.
    """

    name: str
    skeleton: Skeleton
    metres: float
    still: float

    @property
    def joints(self) -> int:
        """Number of joints, J."""
        return len(self.skeleton)

    @property
    def width(self) -> int:
        """Numbers per frame, D."""
        return 12 * self.joints - 1

    @property
    def root(self) -> slice:
        """Half heading turn (radians), step to the left, step ahead (per frame), height of the root."""
        return slice(0, 4)

    @property
    def local_positions(self) -> slice:
        """Joints 1 to J - 1 x 3: where they are, seen from below the root, body turned to +Z."""
        return slice(4, 3 * self.joints + 1)

    @property
    def rotations(self) -> slice:
        """Joints 1 to J - 1 x 6: relative to the joint before."""
        return slice(3 * self.joints + 1, 9 * self.joints - 5)

    @property
    def velocities(self) -> slice:
        """Joints 0 to J - 1 x 3: per frame, body turned to +Z."""
        return slice(9 * self.joints - 5, 12 * self.joints - 5)

    @property
    def contacts(self) -> slice:
        """Left ankle, left foot, right ankle, right foot: 1 = standing still."""
        return slice(self.width - 4, self.width)

    @property
    def groups(self) -> dict[str, slice]:
        """The five parts by name, in their order."""
        parts = ("root", "local_positions", "rotations", "velocities", "contacts")
        return {part: getattr(self, part) for part in parts}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each number of a frame."""
        joints = self.skeleton.joints
        names = (
            "root.turn",
            "root.step_x",
            "root.step_z",
            "root.height",
            *(f"{joint}.position_{axis}" for joint in joints[1:] for axis in "xyz"),
            *(f"{joint}.rotation_{part}" for joint in joints[1:] for part in range(6)),
            *(f"{joint}.velocity_{axis}" for joint in joints for axis in "xyz"),
            *(f"{joints[foot]}.contact" for foot in self.skeleton.feet),
        )
        assert len(names) == self.width
        return names


HUMANML3D: Final = Layout(name="humanml3d", skeleton=SMPL, metres=1.0, still=0.002)
# The Master Motor Map's unit: 640 to the metre (Petrovich et al. 2022, TEMOS, which scales SMPL to it by 480 / 0.75).
KITML: Final = Layout(name="kitml", skeleton=MMM, metres=0.75 / 480, still=0.05)
LAYOUTS: Final[tuple[Layout, ...]] = (HUMANML3D, KITML)


def layout_of(width: int) -> Layout:
    """Return the representation with that many numbers per frame; DataError where there is none."""
    for layout in LAYOUTS:
        if layout.width == width:
            return layout
    known = ", ".join(f"{layout.width} ({layout.name})" for layout in LAYOUTS)
    raise DataError(f"features have {width} numbers per frame; known are {known}")


DIMENSIONS: Final = HUMANML3D.width
ROOT: Final = HUMANML3D.root
LOCAL_POSITIONS: Final = HUMANML3D.local_positions
ROTATIONS: Final = HUMANML3D.rotations
VELOCITIES: Final = HUMANML3D.velocities
CONTACTS: Final = HUMANML3D.contacts
GROUPS: Final = HUMANML3D.groups
NAMES: Final = HUMANML3D.names
