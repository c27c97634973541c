"""The training clips' codes, encoded once by the codebook step for all methods that read them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from hmu_tasks.errors import WeightsError
from hmu_tasks.files import replacing

FILE = "codes.safetensors"


def save_codes(codes: Sequence[np.ndarray], folder: Path) -> None:
    """Write the codes [T_i, Q] of N clips, in their order."""
    content = {
        "codes": np.concatenate(codes).astype(np.int32),
        "ends": np.cumsum([len(clip) for clip in codes]).astype(np.int64),
    }
    with replacing(folder / FILE) as temporary:
        temporary.write_bytes(to_bytes(content))


def load_codes(folder: Path, clips: int) -> list[np.ndarray]:
    """Read int64 codes [T_i, Q] of the training clips, those to forget before those to retain.

    clips: how many there must be. Raises WeightsError when the file is missing, damaged, or of other clips.
    """
    path = folder / FILE
    try:
        stored = load_file(path)
        codes, ends = stored["codes"].astype(np.int64), stored["ends"]
    except (OSError, SafetensorError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); run the codebook step again") from error
    if len(ends) != clips:
        raise WeightsError(
            f"{path} holds {len(ends)} clips, but the training split has {clips}; run the codebook step again"
        )
    return np.split(codes, ends[:-1])
