"""The training clips' codes, encoded once by the codebook step for all methods that read them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hmu_tasks.models.tokenizer.code_files import read_codes, write_codes
from hmu_tasks.runtime.errors import WeightsError

FILE = "codes.safetensors"


def save_codes(codes: Sequence[np.ndarray], folder: Path) -> None:
    """Write the codes [T_i, Q] of N clips, in their order."""
    write_codes(folder / FILE, codes)


def load_codes(folder: Path, clips: int) -> list[np.ndarray]:
    """Read int64 codes [T_i, Q] of the training clips, those to forget before those to retain.

    clips: how many there must be. Raises WeightsError when the file is missing, damaged, or of other clips.
    """
    path = folder / FILE
    try:
        codes = read_codes(path)
    except WeightsError as error:
        raise WeightsError(f"{error}; run the codebook step again") from error
    if len(codes) != clips:
        raise WeightsError(
            f"{path} holds {len(codes)} clips, but the training split has {clips}; run the codebook step again"
        )
    return codes
