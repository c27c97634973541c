"""How many CPU threads a step computes with, one unless HMU_THREADS says otherwise, and how many kernels it keeps.

The number of threads changes the order of floating-point sums and so the last digits of results. With one thread the
same inputs give the same bytes on any number of cores, and whether a step runs alone or beside others.
"""

import os

from hmu_tasks.runtime.errors import ConfigError

VARIABLE = "HMU_THREADS"
_KEPT = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
"""Kernels that torch keeps compiled, of 1 to 2 MB each. It would keep 1,024, and batches of many lengths need more."""
_READ_BY_LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def threads() -> int:
    """Read HMU_THREADS; raises ConfigError where it is no number above 0."""
    given = os.environ.get(VARIABLE, "1")
    if not given.isdigit() or int(given) < 1:
        raise ConfigError(f"{VARIABLE} is {given!r}; it must be a number of at least 1")
    return int(given)


def limit_threads() -> None:
    """Tell torch, numpy and scipy, which read these variables when they are first imported or used."""
    for name in _READ_BY_LIBRARIES:
        os.environ[name] = str(threads())
    os.environ.setdefault(*_KEPT)
