"""Regrowth: the natural answer to deleted codes, new codes of the concept's own motions, and relearning with them.

The attacker has the edited bundle and a few forget clips. Each codebook gets new rows, the centroids of what it leaves
of the clips' latents; networks get random rows for them, and learn them on these clips as in relearning.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.methods.shared.centroids import centroids
from hmu_tasks.methods.shared.code_tables import NEW, codebook_rows, network_rows, rebuilt, with_rows
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.probes.attacked import exchanged


def grown(bundle: Bundle, clips: Sequence[np.ndarray], *, rows: int, seed: int) -> Bundle:
    """Return a bundle with new codes in every layer of tokenizer and networks.

    clips: raw features [F_i, D] whose latents the new codebook rows are fitted to; rows: how many, at most half
    of the clips' tokens. Raises ConfigError where a network does not name its rows of codes (`network_rows`).
    """
    tokenizer = bundle.model.tokenizer
    books = grown_books(tokenizer, clips, rows=rows, seed=seed)
    count = tokenizer.codebooks.shape[1]
    ids = torch.cat([torch.arange(count), torch.full((books.shape[1] - count,), NEW)])
    kept = [ids] * len(books)
    generator = torch.Generator().manual_seed(seed)
    state = tokenizer.network.state_dict()
    state = with_rows(state, codebook_rows(state, kept), generator)
    network = rebuilt(tokenizer.network, state, codes=books.shape[1]).to(books.device).with_codebooks(books)
    found: dict[str, Any] = {"tokenizer": Tokenizer(network, tokenizer.mean, tokenizer.std)}
    for name, one in bundle.model.networks.items():
        state = with_rows(one.state_dict(), network_rows(one, kept, codes=count), generator)
        other = rebuilt(one, state, codes=books.shape[1])
        other.negative = copy.copy(one.negative)
        found[name] = other.to(books.device)
    return exchanged(bundle, **found)


@torch.no_grad()
def grown_books(tokenizer: Tokenizer, clips: Sequence[np.ndarray], *, rows: int, seed: int) -> Tensor:
    """Return codebooks [Q, K + rows, C]: to each layer the centroids of the residuals that reach it are added."""
    device = tokenizer.mean.device
    residual = torch.cat(
        [
            tokenizer.network.latent(
                ((torch.from_numpy(np.array(clip)).to(device) - tokenizer.mean) / tokenizer.std)[None]
            )[0]
            for clip in clips
        ]
    ).float()
    count = min(rows, len(residual) // 2)
    books = []
    for book in tokenizer.codebooks:
        centres = centroids(residual.double().cpu().numpy(), count, seed=seed)
        whole = torch.cat([book, torch.from_numpy(centres).to(book)])
        residual = residual - whole[torch.cdist(residual, whole).argmin(dim=1)]
        books.append(whole)
    return torch.stack(books)
