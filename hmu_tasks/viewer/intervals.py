"""Half widths of 95 % intervals of a mean over edits (edit seeds) and repeats."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

UPPER = 0.975


def spread(values: Sequence[float]) -> float:
    """Return Student's t half width of the mean of independent values; 0 for one value, which has no spread."""
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        return 0.0
    error = float(array.std(ddof=1) / np.sqrt(array.size))
    return float(stdtrit(array.size - 1, UPPER)) * error


def crossed_interval(table: NDArray[np.float64]) -> float:
    """Return the half width of the mean of a table of values, edits by repeats.

    table: [S edits, R repeats]. An edit is a random sample of the method and shares the prompts of repeat r with all
    other edits, so neither rows nor columns alone are independent replicates. The squared standard error is
    s_S^2 / S + s_R^2 / R with the variances of row and of column means; the residual variance is counted in both, so
    the interval is conservative. Degrees of freedom after Satterthwaite (1946).
    With one edit or one repeat it is the ordinary interval over the other.
    """
    parts = [
        (float(means.var(ddof=1)) / means.size, means.size - 1)
        for means in (table.mean(axis=1), table.mean(axis=0))
        if means.size > 1
    ]
    square = sum(part for part, _ in parts)
    if square == 0.0:
        return 0.0
    freedom = square**2 / sum(part**2 / degrees for part, degrees in parts)
    return float(stdtrit(freedom, UPPER) * np.sqrt(square))
