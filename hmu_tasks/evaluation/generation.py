"""Codes drawn for prompts, cached by everything that they depend on.

Methods that edit only the decoder's codebook share the codes of the model that they started from, so a sweep over such
edits costs decoding alone.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.text_to_motion import Progress, Sampling
from hmu_tasks.models.text.embeddings import embed_texts, stacked
from hmu_tasks.models.tokenizer.code_files import read_codes, write_codes
from hmu_tasks.runtime.errors import WeightsError


def draw_codes(
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
    """Return int64 codes [T_i, Q] for each prompt row; read from the cache where they were drawn before.

    A cache file that cannot be read is drawn anew.
    """
    asked = {
        "generator": bundle.generator_digest,
        "texts": prompts.texts,
        "frames": prompts.frames,
        "sampling": asdict(sampling),
        "seed": seed,
        "batch": batch,
        "device": device.type,
    }
    path = cache / f"codes-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]}.safetensors"
    try:
        codes = read_codes(path)
    except WeightsError:
        vectors = embed_texts(bundle.text, prompts.texts, cache=cache, digest=bundle.text_digest)
        codes = bundle.model.generate_codes(
            stacked(vectors, prompts.texts).to(device),
            prompts.frames,
            sampling=sampling,
            generator=torch.Generator(device=device).manual_seed(seed),
            batch=batch,
            progress=progress,
        )
        write_codes(path, codes)
    return codes
