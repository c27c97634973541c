"""Embedded texts: cached so that a frozen encoder sees each caption once, and padded to one tensor.

A text has rows [1 + n, W], its sentence vector and the states of its words (`encoders.TextEncoder`). Texts of different
length share a tensor [B, 1 + n, W] in which rows of zeros stand for words that are not there; "no text" is all zeros.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from hmu_tasks.models.text.encoders import TextEncoder
from hmu_tasks.runtime.cache import Arrays, cached

# Word states take about 18 KB a caption, and the encoder that gives any reads a thousand captions within a second.
MOST_KEPT = 4000


def embed_texts(
    encoder: TextEncoder, texts: Iterable[str], *, cache: Path | None = None, digest: str = ""
) -> dict[str, Tensor]:
    """Return the rows [1 + n, W] of each distinct text.

    cache, digest: folder of cache files and the encoder's digest. One file holds one whole set of texts: the last bits
        of a row depend on its batch, so a set is read as it was computed or recomputed, never merged.
        An unreadable file is recomputed, and so is a large set of texts with word states.
    """
    wanted = sorted(set(texts))
    if cache is None or (encoder.words and len(wanted) > MOST_KEPT):
        return dict(zip(wanted, encoder.encode(wanted), strict=True))
    rows = cached(
        cache,
        "text",
        {"encoder": digest, "texts": wanted},
        lambda: encoder.encode(wanted),
        pack=_packed,
        unpack=_unpacked,
    )
    return dict(zip(wanted, rows, strict=True))


def stacked(rows: Mapping[str, Tensor], texts: Iterable[str]) -> Tensor:
    """Return embedded `texts` as one tensor, [B, 1 + n, W]."""
    return padded([rows[text] for text in texts])


def padded(rows: Sequence[Tensor]) -> Tensor:
    """Put the rows [1 + n_i, W] of B texts into one tensor [B, 1 + n, W], with n the largest n_i."""
    return pad_sequence(list(rows), batch_first=True)


def alike(*texts: Tensor) -> list[Tensor]:
    """Pad embedded texts [B, 1 + n_i, W] with words that are not there to the length of the longest."""
    most = max(text.shape[1] for text in texts)
    return [pad(text, (0, 0, 0, most - text.shape[1])) for text in texts]


def rows_of(text: Tensor) -> Tensor:
    """Take sentence vectors [B, W] as texts without words, [B, 1, W]; embedded texts [B, 1 + n, W] stay as they are."""
    return text[:, None] if text.ndim == 2 else text


def trimmed(text: Tensor) -> Tensor:
    """Cut away the last words that no text has: [B, 1 + n, W] -> [B, 1 + m, W], m <= n."""
    there = present(text).any(dim=0).nonzero()
    return text[:, : 1 + int(there.max()) if len(there) else 1]


def present(text: Tensor) -> Tensor:
    """Say which rows are there: [..., W] -> [...]; a row of zeros is none."""
    return text.any(dim=-1)


def _packed(rows: list[Tensor]) -> Arrays:
    ends = np.cumsum([len(row) for row in rows])
    return {"rows": torch.cat(rows).detach().cpu().numpy(), "ends": ends}


def _unpacked(arrays: Arrays) -> list[Tensor]:
    return list(torch.from_numpy(arrays["rows"]).tensor_split(arrays["ends"][:-1].tolist()))
