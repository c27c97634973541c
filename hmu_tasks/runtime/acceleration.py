"""How a step uses a GPU: recorded graphs (HMU_GRAPHS) and deterministic algorithms (HMU_DETERMINISTIC).

Both change the last digits of what a GPU computes, as HMU_THREADS does on a CPU, and nothing on a CPU.
"""

import os
import sys

from hmu_tasks.runtime.errors import ConfigError

GRAPHS = "HMU_GRAPHS"
DETERMINISTIC = "HMU_DETERMINISTIC"
_CHOICES = {GRAPHS: ("checked", "off"), DETERMINISTIC: ("0", "1")}


def _chosen(name: str) -> str:
    choices = _CHOICES[name]
    given = os.environ.get(name, choices[0])
    if given not in choices:
        raise ConfigError(f"{name} is {given!r}; it must be one of {', '.join(choices)}")
    return given


def graphs() -> bool:
    """Read HMU_GRAPHS: whether work of fixed shape is recorded as CUDA graphs, each checked against a plain run.

    Raises ConfigError for anything but `checked` and `off`.
    """
    return _chosen(GRAPHS) == "checked"


def deterministic() -> bool:
    """Read HMU_DETERMINISTIC: whether a GPU may only use algorithms that give the same bytes every time.

    Raises ConfigError for anything but 0 and 1.
    """
    return _chosen(DETERMINISTIC) == "1"


def prepare_determinism() -> None:
    """Set what cuBLAS reads when it starts, where determinism is asked for; a value that is set stays."""
    if deterministic():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def note(text: str) -> None:
    """Tell the user about a change of plan that changes no result, in one line on stderr."""
    sys.stderr.write(f"note: {text}\n")
