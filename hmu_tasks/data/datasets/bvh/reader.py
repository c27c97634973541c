"""One BVH file as arrays: read by the library PyMotion (upc-pymotion) once `grammar` has checked the text."""

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
    """A motion as recorded: where each joint is in its parent's frame and how it is turned there.

    names: [J]; parents: [J], -1 for the root, parents first; positions: [F, J, 3] in the file's units;
    rotations: [F, J, 4] unit quaternions without jumps of sign over time; seconds: from frame to frame.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    positions: Array
    rotations: Array
    seconds: float

    def world(self) -> Array:
        """Where every joint is: [F, J, 3] in the file's units and axes."""
        places, turns = self.positions.copy(), self.rotations.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                turn: Any = turns[:, parent]
                places[:, joint] = places[:, parent] + quaternions.rotate(turn, self.positions[:, joint])
                turns[:, joint] = quaternions.multiply(turn, self.rotations[:, joint])
        return places


def read(file: Path) -> Recording:
    """Read a BVH file; DataError says what is wrong with it (to be prefixed by the file's name).

    A joint's position channels take the place of its OFFSET, as exporters write them. Raises FileNotFoundError
    where there is no such file.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"is no text in UTF-8 (byte {error.start}); it is no BVH file or damaged") from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from error
    document = check(text)
    # Here, because it imports torch, which costs a second.
    from pymotion.io.bvh import BVH  # type: ignore[import-untyped]

    library = BVH()
    with tempfile.NamedTemporaryFile("w", suffix=".bvh", encoding="ascii") as checked:
        checked.write(document.text)
        checked.flush()
        library.load(checked.name)
    turns, positions, parents, *_ = library.get_data()
    return Recording(
        names=document.names,
        parents=(-1, *(int(parent) for parent in parents[1:])),
        positions=np.asarray(positions, dtype=np.float64),
        rotations=np.asarray(turns, dtype=np.float64),
        seconds=float(library.data["frame_time"]),
    )
