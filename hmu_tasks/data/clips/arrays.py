"""Read untrusted .npy files, and write one row by row.

Never unpickles; a forged header cannot allocate more memory than its file holds.
"""

import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import RECORDING, ForeignFileError, check_file, open_file

DAMAGE: Final = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    MemoryError,
    RuntimeError,
    EOFError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What numpy and zipfile raise for damaged files: headers are Python literals, archives may be encrypted."""


def read_array(path: Path, *, limit: int = RECORDING) -> NDArray[Any]:
    """Memory-map a numeric .npy file read-only; raises DataError for anything else.

    limit: bytes of the file at most; `foreign.ANY` where it is only read in parts.
    """
    try:
        check_file(path, limit=limit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # headers written by Python 2 are fine
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except ForeignFileError as error:
        raise DataError(str(error.strerror)) from error
    except DAMAGE as error:
        raise DataError(
            f"cannot be read as a .npy array ({error}); it is truncated or not a .npy file"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError("is an .npz archive; expected one plain .npy array")
    if array.dtype.kind not in "fiu":
        raise DataError(f"holds values of type {array.dtype}; expected numbers")
    return array


def read_npz(path: Path, *needed: str, limit: int = RECORDING) -> dict[str, NDArray[Any]]:
    """Read all arrays of an .npz file; raises DataError naming it where it is damaged or lacks one that is needed.

    limit: bytes of all arrays together, at most.
    """
    found: dict[str, NDArray[Any]] = {}
    try:
        with open_file(path, limit=limit) as opened, zipfile.ZipFile(opened) as archive:
            for info in archive.infolist():
                left = limit - sum(array.nbytes for array in found.values())
                with cast(BinaryIO, archive.open(info)) as file:
                    found[info.filename.removesuffix(".npy")] = array_from(file, limit=left)
    except FileNotFoundError:
        raise
    except (*DAMAGE, DataError) as error:
        reason = error.strerror if isinstance(error, ForeignFileError) else error
        raise DataError(f"{path} cannot be read ({reason}); run the step again that makes it") from error
    lost = [name for name in needed if name not in found]
    if lost:
        raise DataError(f"{path} lacks {', '.join(lost)}; run the step again that makes it")
    return found


def array_from(file: BinaryIO, *, limit: int) -> NDArray[Any]:
    """Read a numeric .npy array from a stream; its header is checked first, and no more is read than it announces.

    limit: bytes of the array at most. Raises DataError, or what numpy raises for a damaged header (see `DAMAGE`).
    """
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise DataError(f"holds an array of the .npy version {version}, which is not read")
    shape, by_columns, dtype = readers[version](file)
    if dtype.kind not in "fiu":
        raise DataError(f"holds values of type {dtype}; expected numbers")
    count = math.prod(shape)
    size = count * dtype.itemsize
    if not 0 <= size <= limit or min(shape, default=0) < 0:
        raise DataError(f"is cut off or larger than {limit >> 20} MB: it announces an array of shape {shape}")
    content = file.read(size)
    if len(content) < size:
        raise DataError(f"is cut off: it announces {count} numbers and holds fewer")
    return np.frombuffer(content, dtype, count).reshape(shape, order="F" if by_columns else "C")


def as_features(array: NDArray[Any], width: int) -> NDArray[np.float32]:
    """Cast features [F, width] to float32; raises DataError for a wrong shape, NaN or infinity."""
    if array.ndim != 2 or array.shape[1] != width:
        raise DataError(f"has shape {array.shape}; expected [frames, {width}]")
    if array.size * 4 > RECORDING:
        raise DataError(f"has {len(array)} frames, more than any motion")
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
