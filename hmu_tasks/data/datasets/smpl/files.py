"""Motion-X's parameter files: 322 numbers of SMPL-X per frame (Lin et al. 2023), converted to features when read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import read_array
from hmu_tasks.data.datasets.smpl.joints import BODY, REST, joints_of
from hmu_tasks.data.datasets.smpl.models import BodyModel
from hmu_tasks.data.motion.features import from_joints
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.processes import cores, in_order

WIDTH: Final = 322
PATH: Final = slice(309, 312)
"""Translation; before it root and body rotations (0:66), hands, jaw, expression and face shape."""
SHAPE: Final = slice(312, 322)
"""Betas of SMPL-X's neutral model."""
_FILES_PER_PROCESS: Final = 150  # converted in about the time that a process takes to start

Found = NDArray[np.float32] | int | DataError | FileNotFoundError


@dataclass(frozen=True)
class _File:
    path: Path
    longest: int
    model: BodyModel | None = None


def converted(
    paths: Sequence[Path], longest: int, processes: int | None = None, *, model: BodyModel | None = None
) -> Iterator[Found]:
    """Yield for each file, in order, its features [F - 1, 263], or what is wrong with it.

    longest: a motion that gives this many rows or more is not converted; its number of rows is yielded instead.
    model: the user's SMPL-X model, used with the files' betas; None for the mean body.
    """
    most = processes or max(1, min(cores(), len(paths) // _FILES_PER_PROCESS))
    return in_order(_convert, [_File(path, longest, model) for path in paths], most)


def _convert(file: _File) -> Found:
    try:
        array = read_array(file.path)
        if array.ndim != 2 or array.shape[1] != WIDTH:
            raise DataError(f"has shape {array.shape}; expected [frames, {WIDTH}], parameters of SMPL-X")
        rows = len(array) - 1
        if rows < 2 or rows >= file.longest:
            return max(rows, 0)
        rest = REST if file.model is None else file.model.offsets(array[:, SHAPE])
        return from_joints(joints_of(array, array[:, PATH], offsets=rest), offsets=BODY)
    except (DataError, FileNotFoundError) as error:
        return error
