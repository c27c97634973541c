"""Codes of all training and validation clips under one tokenizer, encoded once for all steps that read them."""

import hashlib
from pathlib import Path

import numpy as np

from hmu_tasks.data.packed import Clips
from hmu_tasks.errors import WeightsError
from hmu_tasks.models.code_files import read_codes, write_codes
from hmu_tasks.models.momask import Tokenizer
from hmu_tasks.training.batches import clip_set


def coded_clips(clips: Clips, tokenizer: Tokenizer, *, digest: str, cache: Path) -> dict[str, np.ndarray]:
    """Return the codes [F_i // 4, Q] of each clip of the splits train and val, by its id.

    digest: of the tokenizer's folder. cache: folder of cache files; one holds all clips, for the last bits of a latent
    may depend on its batch. A file that cannot be read is made anew.
    """
    known = clip_set(clips, [*clips.ids("train"), *clips.ids("val")])
    key = hashlib.sha256("\0".join([digest, tokenizer.mean.device.type, *known.ids]).encode())
    for features in known.features:
        key.update(np.ascontiguousarray(features).data)
    path = cache / f"clips-{key.hexdigest()[:32]}.safetensors"
    try:
        codes = read_codes(path)
    except WeightsError:
        codes = tokenizer.encode(known.features)
        write_codes(path, codes)
    return dict(zip(known.ids, codes, strict=True))
