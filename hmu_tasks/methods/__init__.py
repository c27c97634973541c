"""Unlearning methods: one module each, whose METHOD describes it. `original` and `retrain` are not methods but ENDS."""

from importlib import import_module
from typing import TYPE_CHECKING

from hmu_tasks.runtime.errors import ConfigError

if TYPE_CHECKING:
    from hmu_tasks.methods.method import AnyMethod

# Import paths instead of descriptors: a module is loaded when its method is used.
METHODS: dict[str, str] = {
    "lcr": "hmu_tasks.methods.lcr",
    "prune": "hmu_tasks.methods.prune",
    "distill": "hmu_tasks.methods.distill",
    "uce": "hmu_tasks.methods.uce",
    "rece": "hmu_tasks.methods.rece",
    "speed": "hmu_tasks.methods.speed",
    "erasure": "hmu_tasks.methods.erasure",
    "refusal": "hmu_tasks.methods.refusal",
    "guidance": "hmu_tasks.methods.guidance",
    "finetune": "hmu_tasks.methods.finetune",
    "npo": "hmu_tasks.methods.npo",
}


def method_of(name: str) -> "AnyMethod":
    """Return the descriptor of a method; ConfigError lists the known methods."""
    if name not in METHODS:
        raise ConfigError(f"unknown method {name!r}; choose one of {', '.join(METHODS)}")
    found: AnyMethod = import_module(METHODS[name]).METHOD
    return found
