"""Clips grouped by length, so that padding never exists."""

from collections.abc import Iterator, Sequence

import numpy as np

UNIT = 4  # frames per token


BUCKET = 8  # tokens: motions of up to 49 tokens make at most seven widths


def bucket(longest: int, *, most: int | None = None) -> int:
    """Round a length in tokens up to a multiple of BUCKET, at most to `most`: batches on a GPU then have few shapes."""
    wide = -(-longest // BUCKET) * BUCKET
    return wide if most is None else min(wide, most)


def equal_length_batches(lengths: Sequence[int], batch: int) -> Iterator[list[int]]:
    """Yield lists of at most `batch` positions that share one length, shortest first."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or end - start == batch or lengths[order[end]] != lengths[order[start]]:
            yield [int(i) for i in order[start:end]]
            start = end
