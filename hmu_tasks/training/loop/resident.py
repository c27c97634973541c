"""Clips, codes and embedded texts where the training computes: rows one after the other, gathered by index."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.runtime.acceleration import note

SHARE = 0.5
"""Of a device's free memory that resident data may take; the rest is the training's."""


class Ragged:
    """N arrays [L_i, ...] of different lengths in one tensor."""

    def __init__(self, arrays: Sequence[np.ndarray | Tensor], device: torch.device) -> None:
        """Copy arrays of one width to the device, one by one, so that the host never holds a second copy of all."""
        if not arrays:
            self.rows = torch.zeros(1, device=device)
            self.starts = self.lengths = torch.zeros(0, dtype=torch.int64, device=device)
            return
        shapes = {tuple(array.shape[1:]) for array in arrays}
        if len(shapes) != 1:
            raise ValueError(f"arrays of one width are needed, not of {sorted(shapes)}")
        counts = torch.tensor([len(array) for array in arrays])
        ends = counts.cumsum(0)
        first = _writable(arrays[0][:0])
        # One row more, for indices of rows that do not exist where the last array ends.
        self.rows = torch.zeros(int(ends[-1]) + 1, *first.shape[1:], dtype=first.dtype, device=device)
        for array, end in zip(arrays, ends.tolist(), strict=True):
            self.rows[end - len(array) : end] = _writable(array)
        self.starts, self.lengths = (ends - counts).to(device), counts.to(device)

    def to(self, device: torch.device) -> "Ragged":
        """Return a copy on another device."""
        other = copy.copy(self)
        other.rows, other.starts, other.lengths = (
            tensor.to(device) for tensor in (self.rows, self.starts, self.lengths)
        )
        return other

    def take(self, which: Tensor, size: int, start: Tensor | None = None, *, hold: bool = False) -> Tensor:
        """Gather `size` rows of each chosen array, from row `start` [B] (default 0) on: [B, size, ...].

        which: [B] numbers of arrays. Beyond an array's end there are zeros, or with `hold` its last row again.
        """
        place = torch.arange(size, device=self.rows.device)[None]
        place = place if start is None else place + start[:, None]
        last = self.lengths[which][:, None] - 1
        found = self.rows[self.starts[which][:, None] + torch.minimum(place, last.clamp(min=0))]
        if hold:
            return found
        there = place <= last
        return torch.where(there.view(*there.shape, *[1] * (found.ndim - 2)), found, torch.zeros_like(found))


def _writable(array: np.ndarray | Tensor) -> Tensor:
    """Copy an array to the host's memory: torch warns of files mapped for reading, which it could not protect."""
    return array if isinstance(array, Tensor) else torch.from_numpy(np.array(array))


def fits(arrays: Sequence[np.ndarray | Tensor], device: torch.device, *, what: str) -> bool:
    """Say whether arrays may live on a CUDA device: they take at most SHARE of what is free there.

    Where they do not, a note says so. On a CPU they stay where they are (False).
    """
    if device.type != "cuda":
        return False
    needed = sum(array.nbytes for array in arrays)
    free, _ = torch.cuda.mem_get_info(device)
    if needed <= SHARE * free:
        return True
    note(
        f"{what} of {needed / 2**30:.1f} GiB do not fit into half of the {free / 2**30:.1f} GiB that are free on the "
        "GPU; batches are gathered in pinned host memory instead"
    )
    return False


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """Send a tensor of the host to a device without waiting for it."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
