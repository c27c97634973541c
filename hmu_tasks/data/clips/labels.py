"""Per-frame action labels, where a dataset has them: actions.json and labels/ID.npy."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import read_array
from hmu_tasks.data.clips.clips import Actions
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import read_json


def read_actions(folder: Path) -> Actions | None:
    """Read a folder's actions.json ({"names": [...], "violent": [...]}); None if there is none."""
    file = folder / "actions.json"
    if not file.exists():
        return None
    expected = f'{file} must be {{"names": [strings], "violent": [booleans]}} of equal lengths'
    try:
        values = read_json(file)
    except ValueError as error:
        raise DataError(f"{expected}; it is not valid JSON ({error})") from error
    names = values.get("names") if isinstance(values, dict) else None
    violent = values.get("violent") if isinstance(values, dict) else None
    if not isinstance(names, list) or not isinstance(violent, list) or len(names) != len(violent):
        raise DataError(expected)
    if not all(isinstance(n, str) for n in names) or not all(isinstance(v, bool) for v in violent):
        raise DataError(expected)
    return Actions(tuple(names), tuple(violent))


def read_labels(file: Path, *, frames: int, actions: int) -> NDArray[np.int16]:
    """Read one action id per frame, int16 [frames]; raises DataError for a wrong length or unknown ids."""
    try:
        array = read_array(file)
    except FileNotFoundError:
        raise DataError("is missing; a dataset with actions.json labels every motion") from None
    if array.dtype.kind not in "iu" or array.shape != (frames,):
        raise DataError(f"holds {array.dtype} of shape {array.shape}; expected {frames} integers")
    if frames and (array.min() < 0 or array.max() >= actions):
        raise DataError(f"holds action {int(array.min())} to {int(array.max())}; expected 0 to {actions - 1}")
    return array.astype(np.int16)
