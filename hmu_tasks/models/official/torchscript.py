"""Tensors of a TorchScript archive, read without loading or running the code that is in it."""

import io
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hmu_tasks.models.official.archive import DAMAGED, check_sizes, stored
from hmu_tasks.models.official.pickles import check_pickle
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.foreign import WEIGHTS, open_file

_MOST_PARTS = 10_000
_WIDTHS = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


class _Node:
    """Stands for any object of the archive: what it was made of is kept as it lies there, and nothing is called."""

    def __init__(self, *_: Any) -> None:
        self.parts: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.parts = state


def _rebuild(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    if math.prod(map(int, size)) > storage.numel():
        raise ValueError(
            f"a tensor of shape {tuple(size)} repeats the {storage.numel()} numbers of its storage"
        )
    return torch.as_strided(storage, tuple(size), tuple(stride), int(offset)).clone()


def _first(value: Any, *_: Any) -> Any:
    return value


class _Reader(pickle.Unpickler):
    """Knows tensors and their storages; every class of the archive's own code becomes a plain node."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        stream = io.BytesIO(stored(archive, f"{root}/data.pkl"))
        check_pickle(stream)
        stream.seek(0)
        super().__init__(stream)
        self.archive, self.root = archive, root
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name in _WIDTHS:
            return _WIDTHS[name]
        if module == "torch.jit._pickle":  # marks of typed lists and dictionaries
            return _first
        if module.startswith("__torch__"):
            return _Node
        raise pickle.UnpicklingError(f"it refers to the code {module}.{name}, which was not run")

    def persistent_load(self, key: Any) -> Tensor:
        _, width, name, *_ = key
        if name not in self.storages:
            content = bytearray(stored(self.archive, f"{self.root}/data/{name}"))
            self.storages[name] = torch.frombuffer(content, dtype=width)
        return self.storages[name]


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive: a zip file that holds code beside its tensors."""
    try:
        with open_file(path, limit=WEIGHTS) as opened, zipfile.ZipFile(opened) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except DAMAGED:
        return False


def read_parameters(path: Path) -> dict[str, Tensor]:
    """Read every tensor of a module and its sub-modules, by dotted name, as its state_dict() would list them.

    Raises WeightsError for an archive that is damaged or contains anything but tensors.
    """
    try:
        with open_file(path, limit=WEIGHTS) as opened, zipfile.ZipFile(opened) as archive:
            root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).rpartition("/")[0]
            found = _collect(_Reader(archive, root).load())
            check_sizes(found, path.stat().st_size)
            return found
    except (*DAMAGED, StopIteration) as error:
        raise WeightsError(
            f"the tensors of {path} cannot be read without running its code ({error}); where you trust the file, take "
            "them out of it yourself: torch.save(torch.jit.load(FILE, 'cpu').state_dict(), 'state.pt')"
        ) from error


def _collect(module: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    waiting: list[tuple[str, Any]] = [("", module)]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return found
        prefix, node = waiting.pop()
        parts = node.parts if isinstance(node, _Node) else {}
        for name, part in parts.items():
            if isinstance(part, Tensor):
                found[f"{prefix}{name}"] = part
            elif isinstance(part, _Node):
                waiting.append((f"{prefix}{name}.", part))
    raise ValueError(f"it has more than {_MOST_PARTS} modules, or modules that contain themselves")
