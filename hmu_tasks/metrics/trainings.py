"""The mean over several trainings of all models, with an interval that covers prompts, repeats, and trainings.

Prompts and repeats are the same in every training and trainings are few, so that the interval is hierarchical: the
bootstrap replicates of the trainings, paired by prompt, are resampled over trainings as well (`bootstrap.pooled`), and
their spread is read with Student's t.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from hmu_tasks.metrics.bootstrap import LEVEL, pooled, standard_error
from hmu_tasks.metrics.comparisons import Quantity

KEY = (1,)
"""Of the weights of trainings; edit seeds within a training are pooled under another key."""


def over_trainings(estimates: Sequence[Quantity]) -> Quantity:
    """Return the mean over trainings with its 95 % limits; one training keeps its own.

    The limits are the mean ± t x the standard error of the pooled replicates, t with one degree of freedom less than
    there are trainings: five resampled trainings tell their own variance badly. They are unknown where a training has
    no replicates. Estimates of the same number of trainings are paired: their replicates can be subtracted.
    """
    if len(estimates) == 1:
        return estimates[0]
    mean = float(np.mean([one.mean for one in estimates]))
    known = [one.replicates for one in estimates if one.replicates is not None]
    if len(known) < len(estimates):
        return Quantity.of(mean, None)
    return spread(mean, pooled(known, key=KEY), trainings=len(known))


def spread(mean: float, replicates: np.ndarray, *, trainings: int) -> Quantity:
    """Return a quantity of several trainings with limits by Student's t from its pooled replicates [B]."""
    if trainings < 2:
        return Quantity.of(mean, replicates)
    error = standard_error(replicates)
    half = float(stdtrit(trainings - 1, 0.5 + LEVEL / 2)) * error
    return Quantity(mean, mean - half, mean + half, error, replicates)
