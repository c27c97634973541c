"""Files of codes: those of many clips one after the other, with the places where they end."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import replacing


def write_codes(path: Path, codes: Sequence[np.ndarray]) -> None:
    """Write the codes [T_i, Q] of N clips, at least one, in their order."""
    content = {
        "codes": np.concatenate(codes).astype(np.int32),
        "ends": np.cumsum([len(clip) for clip in codes]).astype(np.int64),
    }
    with replacing(path) as temporary:
        temporary.write_bytes(to_bytes(content))


def read_codes(path: Path) -> list[np.ndarray]:
    """Read int64 codes [T_i, Q] of N clips; raises WeightsError when the file is missing or damaged."""
    try:
        stored = load_file(path)
        codes, ends = stored["codes"].astype(np.int64), stored["ends"]
    except (OSError, SafetensorError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read ({error})") from error
    return np.split(codes, ends[:-1])
