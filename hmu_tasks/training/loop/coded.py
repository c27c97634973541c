"""Codes of all training and validation clips under one tokenizer, encoded once for all steps that read them."""

from pathlib import Path

import numpy as np

from hmu_tasks.data.clips.packed import Clips
from hmu_tasks.models.networks import weights
from hmu_tasks.models.tokenizer.code_files import packed_codes, unpacked_codes
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer, load_tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.cache import cached
from hmu_tasks.training.loop.batches import clip_set
from hmu_tasks.training.loop.job import Job


def coded_clips(clips: Clips, tokenizer: Tokenizer, *, digest: str, cache: Path) -> dict[str, np.ndarray]:
    """Return the codes [F_i // 4, Q] of each clip of the splits train and val, by its id.

    digest: of the tokenizer's folder. cache: folder of cache files; one holds all clips, because the last bits of a
    latent may depend on its batch. An unreadable file is recomputed.
    """
    known = clip_set(clips, [*clips.ids("train"), *clips.ids("val")])
    codes = cached(
        cache,
        "clips",
        {
            "tokenizer": digest,
            "device": tokenizer.mean.device.type,
            "ids": known.ids,
            "features": known.features,
        },
        lambda: tokenizer.encode(known.features),
        pack=packed_codes,
        unpack=unpacked_codes,
    )
    return dict(zip(known.ids, codes, strict=True))


def tokenizer_with_codes(
    job: Job, clips: Clips, variant: str | None
) -> tuple[Tokenizer, dict[str, np.ndarray]]:
    """Return the tokenizer of a variant, and the codes of all training and validation clips under it."""
    folder = paths.component("tokenizer", variant)
    tokenizer = load_tokenizer(folder, job.device)
    return tokenizer, coded_clips(clips, tokenizer, digest=weights.digest(folder), cache=paths.CACHE)
