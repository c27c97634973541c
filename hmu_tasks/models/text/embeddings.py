"""Sentence vectors cached per set of texts, so that a frozen encoder sees each caption once."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from hmu_tasks.models.text.encoders import TextEncoder
from hmu_tasks.runtime.files import replacing


def embed_texts(
    encoder: TextEncoder, texts: Iterable[str], *, cache: Path | None = None, digest: str = ""
) -> dict[str, Tensor]:
    """Return the sentence vector [W] of each distinct text.

    cache, digest: folder of cache files and the encoder's digest. One file holds one whole set of texts: the last bits
        of a vector depend on its batch, so a set is read as it was computed or computed anew, never pieced together.
        A file that cannot be read is made anew.
    """
    wanted = sorted(set(texts))
    if cache is None:
        return dict(zip(wanted, encoder.encode(wanted), strict=True))
    key = hashlib.sha256("\0".join([digest, *wanted]).encode()).hexdigest()[:32]
    path = cache / f"text-{key}.safetensors"
    try:
        vectors = load_file(path)["vectors"]
    except (OSError, SafetensorError, KeyError):
        vectors = encoder.encode(wanted).contiguous()
        with replacing(path) as temporary:
            temporary.write_bytes(to_bytes({"vectors": vectors}))
    return dict(zip(wanted, vectors, strict=True))


def stacked(vectors: dict[str, Tensor], texts: Iterable[str]) -> Tensor:
    """Return the vectors of `texts` as rows, [B, W]."""
    return torch.stack([vectors[text] for text in texts])
