"""Read untrusted .npy files, and write one row by row.

Never unpickles; a forged header cannot allocate more memory than its file holds.
"""

import tokenize
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.runtime.errors import DataError


def read_array(path: Path) -> NDArray[Any]:
    """Memory-map a numeric .npy file read-only; raises DataError for anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # headers written by Python 2 are fine
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (
        OSError,
        ValueError,
        EOFError,
        SyntaxError,
        tokenize.TokenError,
        OverflowError,
        TypeError,
    ) as error:
        raise DataError(
            f"cannot be read as a .npy array ({error}); it is truncated or not a .npy file"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError("is an .npz archive; expected one plain .npy array")
    if array.dtype.kind not in "fiu":
        raise DataError(f"holds values of type {array.dtype}; expected numbers")
    return array


def as_features(array: NDArray[Any], width: int) -> NDArray[np.float32]:
    """Cast features [F, width] to float32; raises DataError for a wrong shape, NaN or infinity."""
    if array.ndim != 2 or array.shape[1] != width:
        raise DataError(f"has shape {array.shape}; expected [frames, {width}]")
    with np.errstate(over="ignore", invalid="ignore"):
        features = np.array(array, dtype=np.float32)
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise DataError(f"contains NaN or infinite numbers, first in frame {int(bad.argmax())}")
    return features


class GrowingArray:
    """A .npy file appended to row by row; closing it rewrites the header with the final length.

    descr: numpy dtype string; row: shape of one row. Memory use is constant in the number of rows.
    """

    def __init__(self, path: Path, descr: str, row: tuple[int, ...]) -> None:
        self.file: BinaryIO = path.open("wb")
        self.descr, self.row, self.rows = descr, row, 0
        self.start = self._write_header()

    def append(self, values: NDArray[Any]) -> None:
        """Append rows [N, *row]."""
        assert values.shape[1:] == self.row
        self.file.write(np.ascontiguousarray(values, dtype=self.descr).tobytes())
        self.rows += len(values)

    def _write_header(self) -> int:
        # numpy pads the header, so the first axis can grow without moving the data.
        shape = (self.rows, *self.row)
        header = {"descr": self.descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)
        return self.file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.file:
            if kind is None:
                self.file.seek(0)
                end = self._write_header()
                assert end == self.start
