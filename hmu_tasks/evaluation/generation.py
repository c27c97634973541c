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
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.files import replacing
from hmu_tasks.models.embeddings import embed_texts, stacked
from hmu_tasks.models.momask import Progress, Sampling
from hmu_tasks.models.store import Bundle


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
        stored = load_file(path)
        flat, ends = stored["codes"].astype(np.int64), stored["ends"]
    except (OSError, SafetensorError, KeyError):
        vectors = embed_texts(bundle.text, prompts.texts, cache=cache, digest=bundle.text_digest)
        codes = bundle.model.generate_codes(
            stacked(vectors, prompts.texts).to(device),
            prompts.frames,
            sampling=sampling,
            generator=torch.Generator(device=device).manual_seed(seed),
            batch=batch,
            progress=progress,
        )
        flat, ends = np.concatenate(codes), np.cumsum([len(c) for c in codes])
        with replacing(path) as temporary:
            temporary.write_bytes(to_bytes({"codes": flat.astype(np.int32), "ends": ends}))
    return np.split(flat, ends[:-1])
