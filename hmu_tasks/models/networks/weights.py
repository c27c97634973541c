"""Strict storage of weights: safetensors beside a readable configuration, and one digest per content.

Torch is loaded where weights are: steps that only compare digests do without it.
"""

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import replacing, write_json
from hmu_tasks.runtime.foreign import ANY, open_file
from hmu_tasks.runtime.tensor_files import read_tensors

# What torch.load and the loading of states raise for damaged or foreign content.
UNREADABLE = (
    OSError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def save(state: "Mapping[str, Tensor]", config: Mapping[str, Any], folder: Path) -> None:
    """Write `state` to model.safetensors and `config` to config.json in `folder`; same input, same bytes."""
    from safetensors.torch import save as to_bytes

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: state[name].detach().cpu().contiguous() for name in sorted(state)}
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(to_bytes(tensors))  # unlike save_file, this says plainly when the disk is full
    write_json(folder / CONFIG, dict(config))


def load_state(folder: Path) -> "dict[str, Tensor]":
    """Read the tensors of `folder`; raises WeightsError naming a missing, truncated or foreign file."""
    path = folder / WEIGHTS
    try:
        return read_tensors(path)
    except FileNotFoundError as error:
        raise WeightsError(f"weights {path} are missing; run the step that makes them") from error
    except OSError as error:
        raise WeightsError(
            f"weights {path} are not usable: {error.strerror}; run the step that makes them again"
        ) from error


def require_fit(
    module: "nn.Module", state: "Mapping[str, Tensor]", *, allow_missing_prefix: str = "clip_model."
) -> None:
    """Check that the tensors of `state` are exactly those of `module`; nothing is copied.

    allow_missing_prefix: tensors of this prefix may be missing (official checkpoints leave CLIP out).
    Raises WeightsError that lists missing, surplus and misshaped tensors.
    """
    own = module.state_dict()
    missing = [
        k for k in own if k not in state and not (allow_missing_prefix and k.startswith(allow_missing_prefix))
    ]
    surplus = [k for k in state if k not in own]
    misshaped = [
        f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    faults = {"missing": missing, "surplus": surplus, "misshaped": misshaped}
    if any(faults.values()):
        lines = [f"  {kind}: {', '.join(names)}" for kind, names in faults.items() if names]
        raise WeightsError(f"weights do not fit {type(module).__name__}:\n" + "\n".join(lines))


def load_strict(
    module: "nn.Module", state: "Mapping[str, Tensor]", *, allow_missing_prefix: str = "clip_model."
) -> None:
    """Copy `state` into `module`; raises as `require_fit` does, and the module is then unchanged."""
    require_fit(module, state, allow_missing_prefix=allow_missing_prefix)
    module.load_state_dict(dict(state), strict=False)


def digest(source: Path | Iterable[Path]) -> str:
    """Return the SHA-256 of a file, a folder (recursively), or several of them; same digest = same content.

    Names within a folder count, its own path does not. Raises WeightsError for what does not
    exist.
    """
    sources = [source] if isinstance(source, Path) else list(source)
    total = hashlib.sha256()
    for path in sources:
        if path.is_dir():
            files = sorted((f.relative_to(path).as_posix(), f) for f in path.rglob("*") if f.is_file())
        elif path.is_file():
            files = [(path.name, path)]
        else:
            raise WeightsError(f"{path} does not exist; run the step that makes it")
        for name, file in files:
            with open_file(file, limit=ANY) as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            total.update(f"{name}\0{content}\n".encode())
        total.update(b"\n")
    return total.hexdigest()


def combine(digests: Mapping[str, str]) -> str:
    """Return one digest of several named ones, whatever their order."""
    lines = "".join(f"{name}\0{digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()
