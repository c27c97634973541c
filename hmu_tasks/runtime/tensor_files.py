"""The only reader of safetensors files; the library checks that a header announces what the file holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmu_tasks.runtime.foreign import WEIGHTS, ForeignFileError, check_file

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def read_tensors(path: Path) -> "dict[str, Tensor]":
    """Read all tensors of a file into the CPU's memory.

    Raises FileNotFoundError, or ForeignFileError for a file that is damaged or something else.
    """
    from safetensors.torch import load_file

    found: dict[str, Tensor] = _loaded(path, load_file)
    return found


def read_arrays(path: Path) -> "dict[str, np.ndarray]":
    """Read all tensors of a file as arrays, without torch; raises as `read_tensors` does."""
    from safetensors.numpy import load_file

    found: dict[str, np.ndarray] = _loaded(path, load_file)
    return found


def _loaded(path: Path, load: Any) -> Any:
    from safetensors import SafetensorError

    check_file(path, limit=WEIGHTS)
    try:
        return load(path)
    except OSError:
        raise
    # Types that a newer release writes are missing in torch or numpy; lying shapes overflow when they are multiplied.
    except (
        SafetensorError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,
        OverflowError,
    ) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ForeignFileError(
            path, f"is truncated or not a safetensors file ({reason}); make it again"
        ) from error
