"""The files of an official checkpoint folder: found by their published names, read without running what is in them."""

import hashlib
import io
import pickle
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.data.clips.arrays import read_array as map_array
from hmu_tasks.models.networks.weights import UNREADABLE
from hmu_tasks.models.official.pickles import CostlyPickleError, check_pickle
from hmu_tasks.runtime.errors import DataError, WeightsError
from hmu_tasks.runtime.foreign import ANY, WEIGHTS, ForeignFileError, open_file

# What damaged bytes raise: torch's reader of old files asserts, numpy parses headers as Python literals.
DAMAGED = (
    *UNREADABLE,
    AssertionError,
    MemoryError,
    OverflowError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
WRAPPERS = {"module.": "DataParallel", "_orig_mod.": "torch.compile"}
"""What wrappers of a network put before the name of every tensor."""
_INFLATION = 8  # bytes as float32 per byte of the file: half precision, and tensors that share their numbers
DROPPED = "clip_model."  # some checkpoints carry CLIP along, which is read from its own folder


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint file and the folder that holds its opt.txt and meta."""

    folder: Path
    file: Path


def locate(place: Path, published: str) -> CheckpointFiles:
    """Find the checkpoint of a component: a folder with model/<published>, or a .tar file named by itself.

    Raises WeightsError that says which checkpoints the folder holds.
    """
    if place.suffix == ".tar":
        if not place.is_file():
            raise WeightsError(
                f"checkpoint {place} is missing; see docs/checkpoints.md for what to put where"
            )
        return CheckpointFiles(place.parent.parent if place.parent.name == "model" else place.parent, place)
    if not place.is_dir():
        raise WeightsError(
            f"checkpoint folder {place} is missing; see docs/checkpoints.md for what to put where"
        )
    file = place / "model" / published
    if not file.is_file():
        others = sorted(path.name for path in (place / "model").glob("*.tar"))
        there = (
            f"there are {', '.join(others)}: name one of them in params.yaml" if others else "none is there"
        )
        raise WeightsError(f"checkpoint {file} is missing; {there}")
    return CheckpointFiles(place, file)


def sha256(path: Path) -> str:
    """Return the plain SHA-256 of a file, as the command sha256sum prints it."""
    with open_file(path, limit=ANY) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what torch.save wrote, tensors, numbers and builtin containers only.

    Raises WeightsError for a file that is missing, damaged, or a pickle with code in it; none of its code is run.
    """
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of formats that it will not read for ever
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        foreign = re.search(r"GLOBAL (\S+) (?:was not an allowed global|whose module)", str(error))
        if foreign is not None:
            raise WeightsError(
                f"{path} is a pickle that refers to the code {foreign[1]}, which was not run: a checkpoint holds "
                "tensors, numbers, lists and dictionaries only; get the file from its publisher, or take the tensors "
                "out of it where you trust it, and save those with torch.save"
            ) from error
        raise WeightsError(f"{path} is {_guess(path)}; get the file again") from error
    except DAMAGED as error:
        raise WeightsError(f"{path} is {_guess(path)}; get the file again") from error
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path} holds a {type(content).__name__}, not the dictionary of a checkpoint; get the file again"
        )
    return content


def module_state(content: Mapping[str, Any], path: Path, *names: str) -> dict[str, Tensor]:
    """Take one module's tensors out of a checkpoint, as float32 and without the keys of CLIP.

    Where all names begin with a prefix of `WRAPPERS`, that is taken off, with a warning that says so.
    names: keys under which releases of different age keep the module; the first that is there is taken.
    Raises WeightsError when none is there, or its values are not finite floating-point tensors.
    """
    name = next((name for name in names if name in content), None)
    if name is None:
        raise WeightsError(
            f"{path} has no {' or '.join(names)}, but {', '.join(sorted(map(str, content))) or 'nothing'}: "
            "it is the checkpoint of another network; see docs/checkpoints.md"
        )
    state = content[name]
    if not isinstance(state, Mapping):
        raise WeightsError(
            f"{path}: {name} is a {type(state).__name__}, not a dictionary of tensors; get the file again"
        )
    found: dict[str, Tensor] = {}
    bare = _unwrapped(state, f"{path}: {name}")
    try:
        check_sizes(
            {key: value for key, value in bare.items() if isinstance(value, Tensor)}, path.stat().st_size
        )
    except DAMAGED as error:
        raise WeightsError(f"{path}: {name} {error}; get the file again") from error
    for key, tensor in bare.items():
        if isinstance(key, str) and key.startswith(DROPPED):
            continue
        dense = isinstance(tensor, Tensor) and (tensor.layout, tensor.device.type) == (torch.strided, "cpu")
        if not isinstance(key, str) or not dense or not tensor.is_floating_point():
            raise WeightsError(
                f"{path}: {name} holds {key!r}, which is not a floating-point tensor; get the file again"
            )
        single = tensor.detach().to(torch.float32, copy=True).contiguous()
        if not bool(single.isfinite().all()):
            raise WeightsError(f"{path}: {name}.{key} holds numbers that are not finite; get the file again")
        found[key] = single
    return found


def _unwrapped(state: Mapping[Any, Any], where: str) -> Mapping[Any, Any]:
    bare = dict(state)
    while bare:
        prefix = next(
            (p for p in WRAPPERS if all(isinstance(key, str) and key.startswith(p) for key in bare)), None
        )
        if prefix is None:
            break
        bare = {key.removeprefix(prefix): value for key, value in bare.items()}
        warnings.warn(
            f"{where} was saved from {WRAPPERS[prefix]}; the prefix {prefix} of all its tensors is taken off",
            stacklevel=3,
        )
    return bare


def shape_of(state: Mapping[str, Tensor], key: str, dimensions: int, path: Path) -> tuple[int, ...]:
    """Return the shape of a tensor from which sizes are read; WeightsError when it is not there."""
    if key not in state or state[key].ndim != dimensions:
        raise WeightsError(
            f"{path} lacks the tensor {key} of {dimensions} dimensions; it has {', '.join(sorted(state))}"
        )
    return tuple(state[key].shape)


def read_array(path: Path) -> np.ndarray:
    """Read a .npy file of numbers as float32; WeightsError when it is missing, damaged, or holds anything else."""
    try:
        array = map_array(path)
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing; see docs/checkpoints.md for what to put where") from error
    except (DataError, *DAMAGED) as error:
        raise WeightsError(f"{path} cannot be read ({error}); get the file again") from error
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            single: np.ndarray = np.array(array, dtype=np.float32, order="C")
        if np.isfinite(single).all():
            return single
    raise WeightsError(f"{path} must hold finite floating-point numbers; get the file again")


def read_statistics(folder: Path) -> tuple[Tensor, Tensor]:
    """Read meta/mean.npy and meta/std.npy, [D] each, with which a network's input was normalised.

    They are the network's own. A tokenizer's differ from the dataset's Std.npy by a factor of 25 in the dimensions
    of root and contacts (the released training code divides by feat_bias twice), so no other statistics can be used.
    Raises WeightsError for files that are missing, damaged, or no statistics.
    """
    found = {}
    for name in ("mean", "std"):
        path = folder / "meta" / f"{name}.npy"
        array = read_array(path)
        if array.ndim != 1:
            raise WeightsError(
                f"{path} must hold one row of numbers, found {array.shape}; get the file again"
            )
        if name == "std" and not (array > 0).all():
            raise WeightsError(
                f"{path} holds {int((array <= 0).sum())} values that are not above 0; get the file again"
            )
        found[name] = torch.from_numpy(array)
    if len(found["mean"]) != len(found["std"]):
        raise WeightsError(
            f"{folder / 'meta'}: mean.npy has {len(found['mean'])} values, std.npy {len(found['std'])}"
        )
    return found["mean"], found["std"]


class PackedError(ValueError):
    """A part of a torch archive is compressed, which torch never does."""


def check_stored(info: zipfile.ZipInfo) -> None:
    """Check that a member of a torch archive is not packed: a megabyte can unpack to a gigabyte. Raises PackedError."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise PackedError(
            f"its part {info.filename} is compressed, which torch.save never does; save it again with torch.save"
        )


def stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member of a torch archive; KeyError where it is missing, PackedError where it is packed."""
    info = archive.getinfo(name)
    check_stored(info)
    return archive.read(info)


def check_sizes(tensors: Mapping[Any, Tensor], file_size: int) -> None:
    """Check that tensors can come from a file of `file_size` bytes, before anything is copied.

    Strides of 0 and overlapping ones make terabytes out of four bytes. Raises ValueError naming the tensor.
    """
    total = 0
    for name, tensor in tensors.items():
        if (tensor.layout, tensor.device.type) != (torch.strided, "cpu"):
            continue  # refused by name where it is used
        if min(tensor.shape, default=0) < 0:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)} but fewer numbers than that in the file"
            )
        total += tensor.numel() * 4
    if total > _INFLATION * max(file_size, 1):
        raise ValueError(f"tensors of {total:,} bytes come from a file of {file_size:,}")


def _check_archive(path: Path) -> None:
    """Check what torch.load would unpack or compute: packed members of an archive, and costly pickles.

    Raises WeightsError for these and for what is no regular file; damage is left to torch.load to find.
    """
    try:
        with open_file(path, limit=WEIGHTS) as opened:
            for content in _pickles(opened):
                check_pickle(content)
    except FileNotFoundError as error:
        raise WeightsError(
            f"checkpoint {path} is missing; see docs/checkpoints.md for what to put where"
        ) from error
    except (ForeignFileError, CostlyPickleError, PackedError) as error:
        reason = error.strerror if isinstance(error, ForeignFileError) else f"cannot be used: {error}"
        raise WeightsError(f"checkpoint {path} {reason}; get the file again") from error
    except DAMAGED:
        return


def _pickles(opened: BinaryIO) -> Iterator[BinaryIO]:
    """Yield streams of the pickles in a checkpoint; a file in the old format has four, one after the other."""
    if not zipfile.is_zipfile(opened):
        opened.seek(0)
        for _ in range(4):
            yield opened
        return
    with zipfile.ZipFile(opened) as archive:
        for info in archive.infolist():
            if "/code/" not in info.filename:
                content = stored(archive, info.filename) if info.filename.endswith("data.pkl") else b""
                check_stored(info)
                if content:
                    yield io.BytesIO(content)


def _guess(path: Path) -> str:
    if not path.is_file() or path.stat().st_size == 0:
        return "empty or not a file"
    with path.open("rb") as stream:
        start = stream.read(64)
    if start.lstrip()[:1] == b"<":
        return "a web page, not a checkpoint (a download that required confirmation)"
    return "truncated or not a torch.save checkpoint"
