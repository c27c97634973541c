"""Centroids of vectors by k-means, also where there are fewer distinct vectors than centroids."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

Floats = NDArray[np.float64]


def centroids(vectors: Floats, count: int, *, seed: int, rounds: int = 20) -> Floats:
    """Return `count` centroids [k, W] of vectors [n, W] (k-means++ starts; rounds: at most).

    Of fewer distinct vectors than that, these themselves, repeated in order.
    """
    if count == 1:
        mean: Floats = vectors.mean(axis=0, keepdims=True)
        return mean
    distinct = np.unique(vectors, axis=0)
    if len(distinct) <= count:
        repeated: Floats = distinct[np.arange(count) % len(distinct)]
        return repeated
    found: Floats = kmeans2(vectors, count, iter=rounds, minit="++", seed=seed)[0]
    return found
