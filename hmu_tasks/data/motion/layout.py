"""Layout of the feature vector of a frame; the only place that defines indices into it.

J joints have D = 12 J - 1 features per frame (Guo et al. 2022): 263 for HumanML3D's 22 joints, 251 for KIT-ML's 21.
`HUMANML3D` and `KITML` are the two representations.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hmu_tasks.data.motion.skeleton import MMM, SMPL, Skeleton
from hmu_tasks.runtime.errors import DataError


@dataclass(frozen=True, eq=False)
class Layout:
    """A motion representation; width, slices and feature names are derived from it.

    metres: metres per unit of its positions. still: squared displacement per frame, in that unit, below which a foot
    counts as in contact.
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
        """Features per frame, D."""
        return 12 * self.joints - 1

    @property
    def root(self) -> slice:
        """Half the heading's turn (radians per frame), steps to the left and forward (per frame), root height."""
        return slice(0, 4)

    @property
    def local_positions(self) -> slice:
        """Joints 1 to J - 1 x 3: positions relative to the root's projection onto the floor, body facing +Z."""
        return slice(4, 3 * self.joints + 1)

    @property
    def rotations(self) -> slice:
        """Joints 1 to J - 1 x 6: rotations relative to the previous joint of the chain."""
        return slice(3 * self.joints + 1, 9 * self.joints - 5)

    @property
    def velocities(self) -> slice:
        """Joints 0 to J - 1 x 3: displacement per frame, body facing +Z."""
        return slice(9 * self.joints - 5, 12 * self.joints - 5)

    @property
    def contacts(self) -> slice:
        """Foot contacts of left ankle, left foot, right ankle, right foot: 1 = in contact."""
        return slice(self.width - 4, self.width)

    @property
    def groups(self) -> dict[str, slice]:
        """The five slices by name, in order."""
        parts = ("root", "local_positions", "rotations", "velocities", "contacts")
        return {part: getattr(self, part) for part in parts}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each feature."""
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
# Master Motor Map units, 640 per metre (Petrovich et al. 2022, TEMOS, scales SMPL to it by 480 / 0.75).
KITML: Final = Layout(name="kitml", skeleton=MMM, metres=0.75 / 480, still=0.05)
LAYOUTS: Final[tuple[Layout, ...]] = (HUMANML3D, KITML)


def layout_of(width: int) -> Layout:
    """Return the representation with that many features per frame; raises DataError if there is none."""
    for layout in LAYOUTS:
        if layout.width == width:
            return layout
    known = ", ".join(f"{layout.width} ({layout.name})" for layout in LAYOUTS)
    raise DataError(f"features have {width} numbers per frame; known are {known}")


DIMENSIONS: Final = HUMANML3D.width
