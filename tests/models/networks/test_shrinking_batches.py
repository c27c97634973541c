"""Means over batches: weighed by rows where a batch was halved, and to the last digit where none was."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from hmu_tasks.models.networks.memory import Batches

VALUES = np.random.default_rng(0).random(7)


def mean(rows: Sequence[int]) -> float:
    return float(VALUES[list(rows)].mean())


def test_one_batch_keeps_its_mean_to_the_last_digit() -> None:
    """As 0.1 * 3 / 3 does not."""
    assert Batches(3, what="clips").mean(range(3), lambda _: 0.1) == 0.1
    assert Batches(7, what="clips").mean(range(7), mean) == mean(range(7))


def test_parts_are_weighed_by_their_rows() -> None:
    found = []

    def scarce(rows: Sequence[int]) -> float:
        if len(rows) > 3:
            raise torch.OutOfMemoryError
        found.append(len(rows))
        return mean(rows)

    assert Batches(7, what="clips").mean(range(7), scarce) == pytest.approx(VALUES.mean(), rel=1e-12)
    assert found == [3, 3, 1]


def test_no_rows_have_no_mean() -> None:
    assert math.isnan(Batches(3, what="clips").mean([], mean))
