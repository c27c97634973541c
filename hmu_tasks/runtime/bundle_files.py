"""Whether the files of a bundle can be a working model, told before a network is built from them.

Numbers must be finite, deviations positive, statistics as wide as the network's input, and a configuration no larger
than the weights beside it. One tensor at a time is in memory.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.foreign import RECORDS, SETTINGS, WEIGHTS, check_file, read_text

STATISTICS = "statistics.safetensors"
_SMALL = 64  # sizes up to here need no weights to account for them, such as the longest caption in words
# Widths of square matrices; the evaluator's `width` is that of its embeddings. The last of each: of CLIP and BERT.
_WIDTHS = ("latent", "hidden", "hidden_size")
_DEPTHS = ("layers", "depth", "num_hidden_layers")
_NUMPY_FLOATS = ("F16", "F32", "F64")  # as safetensors names types
_FLOAT = re.compile(r"B?F\d+")
_REMEDY = "make or download the bundle again"


def check_parts(bundle: Path) -> None:
    """Check every part of a bundle; raises WeightsError naming the first file that is at fault, and why."""
    for folder in sorted(path for path in bundle.iterdir() if path.is_dir()):
        check_part(folder)


def check_part(folder: Path, statistics: Path | None = None) -> None:
    """Check the configurations and tensors of one network's folder; see `check_parts`.

    statistics: folder with the statistics of its input, where that is another one
    """
    normalised = (statistics or folder) / STATISTICS
    widths = _shapes(normalised) if normalised.is_file() else {}
    for file in folder.rglob("*"):
        if file.is_file():
            check_file(file, limit=RECORDS if file.suffix == ".json" else WEIGHTS)
    network = folder / "model.safetensors"
    if (folder / "config.json").is_file() and not network.is_file():
        raise WeightsError(f"{network} is missing beside config.json; {_REMEDY}")
    for file in sorted(folder.glob("*.safetensors")):
        if file.name == STATISTICS:
            check_statistics(folder)
            continue
        config = folder / ("config.json" if file == network else f"{file.stem}.json")
        _check_sizes(config, _config(config) if config.is_file() else {}, widths | _shapes(file))
        _check_finite(file)


def check_statistics(folder: Path) -> None:
    """Check the mean and standard deviation with which a network's input is normalised; see `check_parts`."""
    file, config = folder / STATISTICS, folder / "config.json"
    _check_statistics(file, _shapes(file), _config(config) if config.is_file() else {})
    _check_finite(file)


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "numpy") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file} is truncated or not a safetensors file ({error}); {_REMEDY}") from error


def _config(file: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(read_text(file, limit=SETTINGS))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{file} cannot be read ({error}); {_REMEDY}") from error
    if isinstance(values, list) and file.name != "config.json":
        return {}  # a vocabulary
    if not isinstance(values, dict):
        raise WeightsError(f"{file} must hold a JSON object; {_REMEDY}")
    return values


def _check_sizes(file: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Compare a configuration with the weights: no size beyond all of theirs, no network of more numbers than they."""
    most = max([_SMALL, len(shapes), *(size for shape in shapes.values() for size in shape)])
    for key, value in _numbers(config):
        if value != value or value < 0 or value > most:
            raise WeightsError(
                f"{file}: {key} is {_short(value)}, but no tensor beside it is larger than {most}; {_REMEDY}"
            )
    width = max((config[key] for key in _WIDTHS if isinstance(config.get(key), int)), default=0)
    depth = max((config[key] for key in _DEPTHS if isinstance(config.get(key), int)), default=1)
    numbers = sum(math.prod(shape) for shape in shapes.values())
    if depth > len(shapes) or depth * width**2 > numbers:
        raise WeightsError(
            f"{file}: {depth} layers of width {width} hold more than the {numbers} numbers beside it; {_REMEDY}"
        )


def _numbers(values: Any, place: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(values, list):
        for value in values:
            yield from _numbers(value, place)
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield place, values


def _check_statistics(file: Path, shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> None:
    wanted = config.get("features")
    width = shapes.get("mean", ())
    if set(shapes) != {"mean", "std"} or len(width) != 1 or shapes["std"] != width:
        raise WeightsError(f"{file} must hold mean [D] and std [D]; {_REMEDY}")
    if wanted is not None and width != (wanted,):
        raise WeightsError(
            f"{file} has {width[0]} features, but the network reads {_short(wanted)}; {_REMEDY}"
        )
    deviations = dict(_floating(file)).get("std")
    if deviations is None:
        raise WeightsError(f"{file}: std must be floating-point numbers; {_REMEDY}")
    if not (deviations > 0).all():
        raise WeightsError(f"{file}: a standard deviation is not above 0; {_REMEDY}")


def _check_finite(file: Path) -> None:
    for name, tensor in _floating(file):
        if not np.isfinite(tensor).all():
            raise WeightsError(f"{file}: {name} has numbers that are not finite; {_REMEDY}")


def _floating(file: Path) -> Iterator[tuple[str, NDArray[np.floating[Any]]]]:
    """Yield the floating-point tensors of a file by name, as arrays of NumPy.

    Those of a type that NumPy lacks, such as bfloat16, are read by torch, for which only they wait.
    """
    from safetensors import SafetensorError, safe_open

    with safe_open(file, "numpy") as opened:
        kinds = {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118 not a dict
        yield from ((name, opened.get_tensor(name)) for name, kind in kinds.items() if kind in _NUMPY_FLOATS)
    rest = [name for name, kind in kinds.items() if _FLOAT.match(kind) and kind not in _NUMPY_FLOATS]
    if not rest:
        return
    with safe_open(file, "pt") as opened:
        for name in rest:
            try:
                tensor = opened.get_tensor(name).float().numpy()
            except (SafetensorError, NotImplementedError) as error:
                raise WeightsError(
                    f"{file}: {name} has numbers of the type {kinds[name]}, which torch cannot read; {_REMEDY}"
                ) from error
            yield name, tensor


def _short(value: object) -> str:
    try:
        return str(value)[:40]
    except ValueError:
        return "a number of thousands of digits"
