"""Centroids: of clusters, of one, and of fewer distinct vectors than were asked for."""

import numpy as np

from hmu_tasks.methods.shared.centroids import centroids


def test_each_cluster_has_its_centroid() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    vectors = np.concatenate([middle + 0.1 * rng.standard_normal((50, 2)) for middle in middles])
    found = centroids(vectors, 3, seed=0)
    assert sorted(np.abs(found[:, None] - middles).sum(axis=2).argmin(axis=1)) == [0, 1, 2]
    assert np.abs(found[:, None] - middles).sum(axis=2).min(axis=1).max() < 0.1
    assert np.array_equal(found, centroids(vectors, 3, seed=0))


def test_one_is_the_mean() -> None:
    vectors = np.arange(8.0).reshape(4, 2)
    assert np.array_equal(centroids(vectors, 1, seed=0), [[3.0, 4.0]])


def test_few_distinct_vectors_are_repeated() -> None:
    vectors = np.repeat(np.array([[1.0, 2.0], [3.0, 4.0]]), 5, axis=0)
    assert np.array_equal(centroids(vectors, 3, seed=0), [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    assert np.array_equal(centroids(np.zeros((6, 2)), 4, seed=0), np.zeros((4, 2)))
