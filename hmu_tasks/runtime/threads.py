"""CPU threads per step (HMU_THREADS, default 1), and the size of torch's kernel cache.

The number of threads changes the order of floating-point sums and thus the last digits of results. With one thread the
same inputs give the same bytes on any number of cores, whether or not other steps run at the same time.
"""

import os

from hmu_tasks.runtime.errors import ConfigError

VARIABLE = "HMU_THREADS"
_KERNEL_CACHE = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
"""Compiled kernels that torch keeps, 1 to 2 MB each. The default of 1,024 fills up with batches of many lengths."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def threads() -> int:
    """Read HMU_THREADS; raises ConfigError unless it is a positive integer."""
    given = os.environ.get(VARIABLE, "1")
    if not given.isdigit() or int(given) < 1:
        raise ConfigError(f"{VARIABLE} is {given!r}; it must be an integer of at least 1")
    return int(given)


def limit_threads() -> None:
    """Set the variables that torch, numpy and scipy read when they are first imported or used."""
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads())
    os.environ.setdefault(*_KERNEL_CACHE)
