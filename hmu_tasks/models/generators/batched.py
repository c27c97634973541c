"""The batch loop of everything that samples codes for many texts."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.networks.device import mixed_precision
from hmu_tasks.models.networks.memory import Batches, suited
from hmu_tasks.runtime.progress import Progress


def side_by_side(codes: Sequence[np.ndarray], longest: int) -> Tensor:
    """Put codes of one layer, [T_i] each, into one tensor [B, longest], -1 beyond their ends."""
    found = torch.full((len(codes), longest), -1)
    for row, one in zip(found, codes, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    return found


def in_batches(
    work: Callable[[Sequence[int]], Tensor | None],
    text: Tensor,
    lengths: np.ndarray | None,
    *,
    what: str,
    streams: Mapping[str, torch.Generator],
    batch: int,
    progress: Progress | None = None,
) -> list[np.ndarray] | None:
    """Make codes of all texts, those of similar length in one batch; None where `work` finds none.

    work: rows of a batch -> codes [b, T, Q], -1 beyond a length. lengths: [B] tokens, or None. Returns B int64 arrays
    [T_i, Q]. what, streams: see `Batches`.
    """
    order = np.arange(len(text)) if lengths is None else np.argsort(lengths, kind="stable")
    found: list[np.ndarray] = [np.empty(0)] * len(order)
    done = 0

    def made(rows: Sequence[int]) -> np.ndarray | None:
        with mixed_precision(text.device):
            codes = work(rows)
        return None if codes is None else codes.cpu().numpy()

    batches = Batches(suited(batch, text.device), what=what, rewind=list(streams.values()))
    for rows, full in batches.over(order.tolist(), made):
        if full is None:
            return None
        for i, row, length in zip(rows, full, (full[..., 0] >= 0).sum(axis=1), strict=True):
            found[i] = row[:length]
        done += len(rows)
        if progress is not None:
            progress(done, len(order))
    return found
