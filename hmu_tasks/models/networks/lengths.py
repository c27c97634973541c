"""Clips grouped by length, so that padding never exists."""

from collections.abc import Iterator, Sequence

import numpy as np

UNIT = 4  # frames per token


def equal_length_batches(lengths: Sequence[int], batch: int) -> Iterator[list[int]]:
    """Yield lists of at most `batch` positions that share one length, shortest first."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or end - start == batch or lengths[order[end]] != lengths[order[start]]:
            yield [int(i) for i in order[start:end]]
            start = end
