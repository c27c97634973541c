"""Sentence vectors cached per set of texts, so that a frozen encoder sees each caption once."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from hmu_tasks.models.text.encoders import TextEncoder
from hmu_tasks.runtime.cache import cached_array


def embed_texts(
    encoder: TextEncoder, texts: Iterable[str], *, cache: Path | None = None, digest: str = ""
) -> dict[str, Tensor]:
    """Return the sentence vector [W] of each distinct text.

    cache, digest: folder of cache files and the encoder's digest. One file holds one whole set of texts: the last bits
        of a vector depend on its batch, so a set is read as it was computed or recomputed, never merged.
        An unreadable file is recomputed.
    """
    wanted = sorted(set(texts))
    if cache is None:
        return dict(zip(wanted, encoder.encode(wanted), strict=True))
    vectors = cached_array(
        cache,
        "text",
        {"encoder": digest, "texts": wanted},
        lambda: encoder.encode(wanted).detach().cpu().numpy(),
    )
    return dict(zip(wanted, torch.from_numpy(vectors), strict=True))


def stacked(vectors: dict[str, Tensor], texts: Iterable[str]) -> Tensor:
    """Return the vectors of `texts` as rows, [B, W]."""
    return torch.stack([vectors[text] for text in texts])
