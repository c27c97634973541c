"""Which tokens of forget clips show the concept: found from the clips' labels and each token's context.

A violent clip is violent for a moment; its other tokens are those of any motion. Multiple-instance learning with a
linear discriminant (Fisher 1936): at first all tokens of forget clips count as the concept, then those that the
discriminant tells from retain tokens, at least one per clip.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.runtime.errors import WeightsError

# Tokens on either side that the discriminant reads; rounds of fitting; share of retain tokens that count as harmless;
# loading of the covariance, in mean variances; retain clips that are read; clips in memory at once.
BESIDE, ROUNDS, HARMLESS, LOADING, READ, BLOCK = 2, 4, 0.95, 0.01, 1200, 64


def telling_tokens(
    forget: Sequence[np.ndarray], retain: Sequence[np.ndarray], codebooks: Tensor
) -> list[np.ndarray]:
    """Return for each forget clip which of its tokens show the concept, [T_i] bool, at least one per clip.

    forget, retain: codes [T_i, Q] of each clip; at most 1,200 retain clips are read, evenly spaced.
    codebooks: [Q, K, C]. With m the mean of the retain tokens' contexts x, and m_f, C_f those of the telling tokens
    about m, d = (C_r / 2 + C_f / 2 + l I)^-1 (m_f - m); a token is telling where d (x - m) exceeds the 95 % quantile of
    the retain tokens, or is the largest of its clip. d is fitted to the tokens that it marks, so that more than 5 % of
    tokens are telling even where forget clips are like retain clips. Contexts of 64 clips are in memory at once, in
    double precision. Raises WeightsError where all tokens are alike.
    """
    step = max(len(retain) / READ, 1.0)
    some = [retain[int(i * step)] for i in range(min(len(retain), READ))]
    zero = torch.zeros(1)
    mean = sum((rows.sum(dim=0) for rows in _blocks(some, codebooks, zero)), zero) / sum(map(len, some))
    spread = sum((rows.T @ rows for rows in _blocks(some, codebooks, mean)), zero) / sum(map(len, some))
    marks = [np.ones(len(clip), dtype=bool) for clip in forget]
    for _ in range(ROUNDS):
        direction = _direction(forget, marks, codebooks, mean, spread)
        limit = np.quantile(np.concatenate(_scores(some, codebooks, mean, direction)), HARMLESS)
        scores = _scores(forget, codebooks, mean, direction)
        marks = [(score > limit) | (score == score.max()) for score in scores]
    return marks


def _direction(
    clips: Sequence[np.ndarray], marks: Sequence[np.ndarray], codebooks: Tensor, mean: Tensor, spread: Tensor
) -> Tensor:
    """Fit the discriminant between the marked tokens of clips and all tokens about `mean` with covariance `spread`."""
    count = sum(int(mark.sum()) for mark in marks)
    total, square = torch.zeros(1), torch.zeros(1)
    for i, rows in enumerate(_blocks(clips, codebooks, mean)):
        here = rows[torch.from_numpy(np.concatenate(marks[i * BLOCK : (i + 1) * BLOCK]))]
        total, square = total + here.sum(dim=0), square + here.T @ here
    both = (spread + square / count) / 2
    size = both.diagonal().mean()
    if size <= 0:
        raise WeightsError(
            "all tokens of the tokenizer are the same, so that none can be told from another by its context; set "
            "score: ratio, or train the tokenizer for longer"
        )
    found: Tensor = torch.linalg.solve(both + LOADING * size * torch.eye(len(both)), total / count)
    return found


def _scores(
    clips: Sequence[np.ndarray], codebooks: Tensor, mean: Tensor, direction: Tensor
) -> list[np.ndarray]:
    """Project each clip's contexts about the mean on the direction, [T_i]."""
    flat = torch.cat([rows @ direction for rows in _blocks(clips, codebooks, mean)]).numpy()
    return np.split(flat, np.cumsum([len(clip) for clip in clips])[:-1])


def _blocks(clips: Sequence[np.ndarray], codebooks: Tensor, mean: Tensor) -> Iterator[Tensor]:
    """Yield the contexts about `mean` of some clips at a time, [sum T_i, (2 BESIDE + 1) C] float64."""
    for start in range(0, len(clips), BLOCK):
        yield contexts(clips[start : start + BLOCK], codebooks) - mean


def contexts(clips: Sequence[np.ndarray], codebooks: Tensor) -> Tensor:
    """Return the latents of each token and of the two on either side of it, [sum T_i, 5 C] float64.

    A token's latent is the sum of its rows of the codebooks [Q, K, C]; beyond a clip's ends its first or last token is
    repeated.
    """
    books = codebooks.detach().cpu().double()
    layers = torch.arange(len(books))
    rows = []
    for clip in clips:
        latents = books[layers, torch.from_numpy(clip)].sum(dim=1)
        places = torch.arange(len(latents))[:, None] + torch.arange(-BESIDE, BESIDE + 1)
        rows.append(latents[places.clamp(0, len(latents) - 1)].flatten(1))
    return torch.cat(rows)
