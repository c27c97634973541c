"""Choice of the device and of the precision that networks run in."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from hmu_tasks.runtime.acceleration import deterministic, prepare_determinism
from hmu_tasks.runtime.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; raises ConfigError if CUDA is requested but absent.

    On CUDA, everything in this process is computed in full single precision from now on; see `tensor_cores`.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("run.device is cuda, but torch sees no CUDA device; set it to auto or cpu")
    found = torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
    if found.type == "cuda":
        prepare_determinism()  # before anything is computed there
        for one in _products():
            one.fp32_precision = "ieee"
    return found


def mixed_precision(device: torch.device, *, one_shape: bool = False) -> torch.autocast:
    """Autocast to bfloat16 where that is faster: on CUDA, and on CPUs with AMX tiles for work of one shape.

    A CPU kernel is compiled for every new shape, which costs more than it gains for batches of varying length.
    """
    native = device.type == "cuda" or (one_shape and torch.cpu._is_amx_tile_supported())
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=native)


def _products() -> list[Any]:
    """Torch's settings of what it may round in single precision on CUDA; they say nothing about a CPU."""
    return [torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn]  # type: ignore[attr-defined]


@contextmanager
def _rounded(precision: str) -> Iterator[None]:
    before = [one.fp32_precision for one in _products()]
    for one in _products():
        one.fp32_precision = precision
    try:
        yield
    finally:
        for one, own in zip(_products(), before, strict=True):
            one.fp32_precision = own


@contextmanager
def tensor_cores(device: torch.device) -> Iterator[None]:
    """Let products, convolutions and recurrent layers use TF32 (10 bits of mantissa) within a block, on CUDA only.

    For training in mixed precision. Codes, embeddings and figures are computed in full single precision, which
    `pick_device` sets: torch would use TF32 for convolutions and recurrent layers.
    """
    with _rounded("tf32") if device.type == "cuda" else nullcontext():
        yield


def full_precision() -> AbstractContextManager[None]:
    """Compute in full single precision within a block, even within `tensor_cores`; it changes nothing on a CPU."""
    return _rounded("ieee")


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Use deterministic algorithms alone within a block, on CUDA and where HMU_DETERMINISTIC asks for it.

    For training, whose gradients are summed in no fixed order else; torch refuses some operations of sampling then.
    """
    if device.type != "cuda" or not deterministic():
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
