"""Which tokens of forget clips show the concept: found from the clips' labels and each token's context.

A violent clip is violent for a moment; its other tokens are those of any motion. Multiple-instance learning with a
linear discriminant (Fisher 1936): at first all tokens of forget clips count as the concept, then those that the
discriminant tells from retain tokens, at least one per clip.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Tokens on either side that the discriminant reads; rounds of fitting; share of retain tokens that count as harmless;
# loading of the covariance, in mean variances; retain clips that are read.
BESIDE, ROUNDS, HARMLESS, LOADING, READ = 2, 4, 0.95, 0.01, 1200


def telling_tokens(
    forget: Sequence[np.ndarray], retain: Sequence[np.ndarray], codebooks: Tensor
) -> list[np.ndarray]:
    """Return for each forget clip which of its tokens show the concept, [T_i] bool, at least one per clip.

    forget, retain: codes [T_i, Q] of each clip; at most 1,200 retain clips are read, evenly spaced.
    codebooks: [Q, K, C]. With m the mean of the retain tokens' contexts x, and m_f, C_f those of the telling tokens
    about m, d = (C_r / 2 + C_f / 2 + l I)^-1 (m_f - m) / 2; a token is telling where d (x - m) exceeds the 95 %
    quantile of the retain tokens, or is the largest of its clip.
    """
    step = max(len(retain) / READ, 1.0)
    some = [retain[int(i * step)] for i in range(min(len(retain), READ))]
    ours, others = contexts(forget, codebooks), contexts(some, codebooks)
    mean = others.mean(dim=0)
    ours, others = ours - mean, others - mean
    spread = others.T @ others / len(others)
    owner = np.repeat(np.arange(len(forget)), [len(clip) for clip in forget])
    chosen = torch.ones(len(ours), dtype=torch.bool)
    for _ in range(ROUNDS):
        here = ours[chosen]
        both = spread / 2 + here.T @ here / (2 * len(here))
        both = both + LOADING * both.diagonal().mean() * torch.eye(len(both))
        direction = torch.linalg.solve(both.double(), here.mean(dim=0).double() / 2).float()
        score = (ours @ direction).numpy()
        best = np.full(len(forget), -np.inf)
        np.maximum.at(best, owner, score)
        limit = np.quantile((others @ direction).numpy(), HARMLESS)
        chosen = torch.from_numpy((score > limit) | (score == best[owner]))
    ends = np.cumsum([len(clip) for clip in forget])
    return np.split(chosen.numpy(), ends[:-1])


def contexts(clips: Sequence[np.ndarray], codebooks: Tensor) -> Tensor:
    """Return the latents of each token and of the two on either side of it, [sum T_i, 5 C] float32.

    A token's latent is the sum of its rows of the codebooks; beyond a clip's ends its first or last token is repeated.
    """
    books = codebooks.cpu().float()
    layers = torch.arange(len(books))
    rows = []
    for clip in clips:
        latents = books[layers, torch.from_numpy(clip)].sum(dim=1)
        places = torch.arange(len(latents))[:, None] + torch.arange(-BESIDE, BESIDE + 1)
        rows.append(latents[places.clamp(0, len(latents) - 1)].flatten(1))
    return torch.cat(rows)
