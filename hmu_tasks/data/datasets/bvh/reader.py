"""Read a BVH file into arrays with PyMotion (upc-pymotion), after `grammar` has validated its text."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh.grammar import check
from hmu_tasks.data.motion import rotations as quaternions
from hmu_tasks.runtime.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """A motion as recorded: position and rotation of each joint relative to its parent.

    names: [J]; parents: [J], -1 for the root, parents first; positions: [F, J, 3] in the file's units;
    rotations: [F, J, 4] unit quaternions without sign flips over time; seconds: per frame.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    positions: Array
    rotations: Array
    seconds: float

    def world(self) -> Array:
        """World positions of all joints, [F, J, 3], in the file's units and axes."""
        positions, rotations = self.positions.copy(), self.rotations.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                above: Any = rotations[:, parent]
                positions[:, joint] = positions[:, parent] + quaternions.rotate(
                    above, self.positions[:, joint]
                )
                rotations[:, joint] = quaternions.multiply(above, self.rotations[:, joint])
        return positions


def read(file: Path) -> Recording:
    """Read a BVH file; raises DataError with a message to be prefixed by the file's name, or FileNotFoundError.

    Position channels of a joint replace its OFFSET, as exporters write them.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"is not UTF-8 text (byte {error.start}); it is damaged or not a BVH file") from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from error
    document = check(text)
    # Imported here because it imports torch, which takes a second.
    from pymotion.io.bvh import BVH  # type: ignore[import-untyped]

    library = BVH()
    with tempfile.NamedTemporaryFile("w", suffix=".bvh", encoding="ascii") as checked:
        checked.write(document.text)
        checked.flush()
        library.load(checked.name)
    rotations, positions, parents, *_ = library.get_data()
    return Recording(
        names=document.names,
        parents=(-1, *(int(parent) for parent in parents[1:])),
        positions=np.asarray(positions, dtype=np.float64),
        rotations=np.asarray(rotations, dtype=np.float64),
        seconds=float(library.data["frame_time"]),
    )
