"""Embeddings that every evaluation needs and the first one makes: of real motions and of captions."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from hmu_tasks.runtime.files import replacing


def remembered(
    cache: Path, depends: Iterable[bytes | memoryview], make: Callable[[], np.ndarray]
) -> np.ndarray:
    """Read an array from the cache, or make it and leave it there.

    depends: everything that it depends on, in order. A file that cannot be read is made anew.
    """
    key = hashlib.sha256()
    for part in depends:
        key.update(len(part).to_bytes(8))
        key.update(part)
    path = cache / f"embedded-{key.hexdigest()[:32]}.safetensors"
    try:
        found: np.ndarray = load_file(path)["embedded"]
    except (OSError, SafetensorError, KeyError):
        found = np.ascontiguousarray(make())
        with replacing(path) as temporary:
            temporary.write_bytes(to_bytes({"embedded": found}))
    return found
