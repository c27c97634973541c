"""Choice of the device and of the precision that networks run in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hmu_tasks.runtime.acceleration import deterministic, prepare_determinism
from hmu_tasks.runtime.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; raises ConfigError if CUDA is requested but absent."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("run.device is cuda, but torch sees no CUDA device; set it to auto or cpu")
    found = torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
    if found.type == "cuda":
        prepare_determinism()  # before anything is computed there
    return found


def mixed_precision(device: torch.device, *, one_shape: bool = False) -> torch.autocast:
    """Autocast to bfloat16 where that is faster: on CUDA, and on CPUs with AMX tiles for work of one shape.

    A CPU kernel is compiled for every new shape, which costs more than it gains for batches of varying length.
    """
    native = device.type == "cuda" or (one_shape and torch.cpu._is_amx_tile_supported())
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=native)


@contextmanager
def tensor_cores(device: torch.device) -> Iterator[None]:
    """Let products in single precision use TF32 (10 bits of mantissa) within a block, on CUDA only.

    For training. Codes, embeddings and figures are computed outside of it, in full single precision.
    """
    if device.type != "cuda":
        yield
        return
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = matmul.fp32_precision, conv.fp32_precision
    matmul.fp32_precision = conv.fp32_precision = "tf32"
    try:
        yield
    finally:
        matmul.fp32_precision, conv.fp32_precision = before


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
