"""Unlearning methods: pure functions from a model's parts to edited ones; the input stays as it is."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from hmu_tasks.runtime.errors import ConfigError

# Addresses instead of functions: `--help` must not wait for torch. `original` and `retrain` are no methods but
# the two ends that every method is measured against.
METHODS: dict[str, str] = {
    "lcr": "hmu_tasks.methods.lcr:replace_codes",
    "uce": "hmu_tasks.methods.uce:edit",
    "rece": "hmu_tasks.methods.rece:edit",
    "erasure": "hmu_tasks.methods.erasure:edit",
    "guidance": "hmu_tasks.methods.guidance:negative",
    "finetune": "hmu_tasks.methods.finetune:objective",
    "npo": "hmu_tasks.methods.npo:objective",
}


def method_function(method: str) -> Callable[..., Any]:
    """Return the function behind a method; ConfigError lists the known methods."""
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    module, _, name = METHODS[method].partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
