"""Files of codes: those of many clips one after the other, with the places where they end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save as to_bytes

from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import replacing
from hmu_tasks.runtime.tensor_files import read_arrays


def write_codes(path: Path, codes: Sequence[np.ndarray]) -> None:
    """Write the codes [T_i, Q] of N clips, at least one, in their order."""
    with replacing(path) as temporary:
        temporary.write_bytes(to_bytes(packed_codes(codes)))


def read_codes(path: Path) -> list[np.ndarray]:
    """Read int64 codes [T_i, Q] of N clips; raises WeightsError when the file is missing or damaged."""
    try:
        return unpacked_codes(read_arrays(path))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} cannot be read ({error})") from error


def packed_codes(codes: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Put the codes [T_i, Q] of N clips, at least one, into two arrays: one after the other, and where each ends."""
    return {
        "codes": np.concatenate(codes).astype(np.int32),
        "ends": np.cumsum([len(clip) for clip in codes]).astype(np.int64),
    }


def unpacked_codes(stored: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Take int64 codes [T_i, Q] of N clips out of what `packed_codes` made; KeyError or ValueError for others."""
    codes, ends = stored["codes"], stored["ends"]
    integers = all(array.dtype.kind == "i" and array.ndim == n for array, n in ((codes, 2), (ends, 1)))
    if not integers or not len(ends) or ends[-1] != len(codes) or (np.diff(ends, prepend=0) < 0).any():
        raise ValueError(f"the ends {ends.shape} do not divide the codes {codes.shape}")
    return np.split(stored["codes"].astype(np.int64), stored["ends"][:-1])
