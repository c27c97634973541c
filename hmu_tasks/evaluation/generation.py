"""Sampled codes, cached by everything that they depend on.

Methods that edit only the decoder's codebook share the codes of the model that they started from, so a sweep over such
edits costs decoding alone.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.tokenizer.code_files import packed_codes, unpacked_codes
from hmu_tasks.runtime.cache import cached
from hmu_tasks.runtime.progress import Progress


def cached_codes(
    bundle: Bundle,
    prompts: Prompts,
    *,
    sampling: Sampling,
    seed: int,
    batch: int,
    device: torch.device,
    cache: Path,
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """Return int64 codes [T_i, Q] for each prompt row, read from the cache where they were sampled before."""

    def sample() -> list[np.ndarray]:
        return bundle.model.generate_codes(
            bundle.embedded(prompts.texts, cache=cache, device=device),
            prompts.frames,
            sampling=sampling,
            generator=torch.Generator(device=device).manual_seed(seed),
            batch=batch,
            progress=progress,
        )

    return cached(
        cache,
        "codes",
        {
            "generator": bundle.generator_digest,
            "texts": prompts.texts,
            "frames": prompts.frames,
            "sampling": asdict(sampling),
            "seed": seed,
            "batch": batch,
            "device": device.type,
        },
        sample,
        pack=packed_codes,
        unpack=unpacked_codes,
    )
