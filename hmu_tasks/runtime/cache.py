"""Computed arrays kept under everything that they depend on: the only cache of the steps.

A key is the SHA-256 over named inputs and the digest of the code that computes. Values are safetensors files, written
in one step; an unreadable file is recomputed. Deleting any of them costs time and changes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors.numpy import save as to_bytes

from hmu_tasks.runtime.code_digest import code_digest
from hmu_tasks.runtime.files import replacing
from hmu_tasks.runtime.tensor_files import read_arrays

Arrays = Mapping[str, np.ndarray]
T = TypeVar("T")
_digest = cache(code_digest)


def key_of(inputs: Mapping[str, object], *, code: Sequence[str] = ("models",)) -> str:
    """Return 32 hexadecimal digits for named inputs and the package's folders that compute with them.

    inputs: an array, a list of arrays, or what JSON can hold; digests of files count as text. Their order is free.
    """
    found = hashlib.sha256(_digest(*code).encode())
    for name in sorted(inputs):
        for part in (name.encode(), *_parts(inputs[name])):
            found.update(len(part).to_bytes(8, "big"))
            found.update(part)
    return found.hexdigest()[:32]


def cached(
    folder: Path,
    kind: str,
    inputs: Mapping[str, object],
    make: Callable[[], T],
    *,
    pack: Callable[[T], Arrays],
    unpack: Callable[[Arrays], T],
    code: Sequence[str] = ("models",),
) -> T:
    """Read a value from <folder>/<kind>-<key>.safetensors, or make it and leave it there.

    pack, unpack: the value as named arrays and back. inputs, code: see `key_of`.
    """
    path = folder / f"{kind}-{key_of(inputs, code=code)}.safetensors"
    try:
        return unpack(read_arrays(path))
    except (OSError, KeyError, ValueError, TypeError):
        arrays = {name: np.ascontiguousarray(array) for name, array in pack(make()).items()}
        with replacing(path) as temporary:
            temporary.write_bytes(to_bytes(arrays))
        return unpack(arrays)


def cached_array(
    folder: Path,
    kind: str,
    inputs: Mapping[str, object],
    make: Callable[[], np.ndarray],
    *,
    code: Sequence[str] = ("models",),
) -> np.ndarray:
    """Read one array from the cache, or make it; see `cached`."""
    return cached(
        folder,
        kind,
        inputs,
        make,
        pack=lambda array: {"array": array},
        unpack=lambda arrays: arrays["array"],
        code=code,
    )


def _parts(value: object) -> list[bytes | memoryview]:
    """Bytes of an input, each kind under a mark of its own."""
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        return [f"{array.dtype.str}{array.shape}".encode(), array.reshape(-1).view(np.uint8).data]
    if isinstance(value, Sequence) and value and isinstance(value[0], np.ndarray):
        return [b"arrays", *(part for array in value for part in _parts(array))]
    return [b"json", json.dumps(value, sort_keys=True, ensure_ascii=False).encode()]
