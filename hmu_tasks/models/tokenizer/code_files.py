"""Files of codes: those of many clips one after the other, with the places where they end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import replacing


def write_codes(path: Path, codes: Sequence[np.ndarray]) -> None:
    """Write the codes [T_i, Q] of N clips, at least one, in their order."""
    with replacing(path) as temporary:
        temporary.write_bytes(to_bytes(packed_codes(codes)))


def read_codes(path: Path) -> list[np.ndarray]:
    """Read int64 codes [T_i, Q] of N clips; raises WeightsError when the file is missing or damaged."""
    try:
        return unpacked_codes(load_file(path))
    except (OSError, SafetensorError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read ({error})") from error


def packed_codes(codes: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Put the codes [T_i, Q] of N clips, at least one, into two arrays: one after the other, and where each ends."""
    return {
        "codes": np.concatenate(codes).astype(np.int32),
        "ends": np.cumsum([len(clip) for clip in codes]).astype(np.int64),
    }


def unpacked_codes(stored: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Take int64 codes [T_i, Q] of N clips out of what `packed_codes` made."""
    return np.split(stored["codes"].astype(np.int64), stored["ends"][:-1])
