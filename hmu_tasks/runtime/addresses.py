"""Objects by their address, `package.module:name`: what a table names is imported when it is used, not before."""

from importlib import import_module
from typing import Any


def found_at(address: str) -> Any:
    """Import the module of an address and return the object that it names."""
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)
