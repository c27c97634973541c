"""Choice of the device and of the precision that networks run in."""

import torch

from hmu_tasks.runtime.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; raises ConfigError if CUDA is requested but absent."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("run.device is cuda, but torch sees no CUDA device; set it to auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device, *, one_shape: bool = False) -> torch.autocast:
    """Autocast to bfloat16 where that is faster: on CUDA, and on CPUs with AMX tiles for work of one shape.

    A CPU kernel is compiled for every new shape, which costs more than it gains for batches of varying length.
    """
    native = device.type == "cuda" or (one_shape and torch.cpu._is_amx_tile_supported())
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=native)
