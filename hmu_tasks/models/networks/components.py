"""A component as a folder: model.safetensors and config.json, checked strictly when read.

What reads motions also has statistics.safetensors.
"""

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from hmu_tasks.models.networks import weights
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import read_json, read_object, replacing, write_json
from hmu_tasks.runtime.tensor_files import read_tensors

# Provenance records of a component: not part of a model, so they are skipped when it is linked or digested.
SOURCE = "source.json"
RECORDS = ("history.csv", SOURCE)
# Mean and standard deviation with which a network's input was normalised.
STATISTICS = "statistics.safetensors"
Network = TypeVar("Network", bound=nn.Module)
Config = TypeVar("Config")


def save_network(network: nn.Module, config: Mapping[str, Any], folder: Path) -> None:
    """Write a network's weights and config.json into `folder`."""
    weights.save(network.state_dict(), dict(config), folder)


def load_config(folder: Path) -> dict[str, Any]:
    """Read config.json of a component; raises WeightsError when it is missing or not a JSON object."""
    path = folder / "config.json"
    try:
        config = read_json(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); train the component again") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path} must hold a JSON object; train the component again")
    if "absent" in config:
        raise WeightsError(f"{folder} holds no network: {config['absent']}")
    return config


def save_absent(folder: Path, reason: str) -> None:
    """Write a component folder that records why the network is absent."""
    write_json(folder / "config.json", {"absent": reason})


def absent_reason(folder: Path) -> str | None:
    """Return why a component is absent; None if it exists or was never made."""
    path = folder / "config.json"
    reason = read_object(path).get("absent") if path.is_file() else None
    return None if reason is None else str(reason)


def build_config(kind: type[Config], values: Mapping[str, Any], folder: Path) -> Config:
    """Build a network's configuration; raises WeightsError where config.json has other keys or other kinds of values.

    kind: a dataclass whose fields are whole numbers and fractions
    """
    try:
        built = kind(**values)
        for name, wanted in get_type_hints(kind).items():
            value = getattr(built, name)
            numbers = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not numbers or value < 0 or (wanted is int and not isinstance(value, int)):
                raise ValueError(f"{name} is {str(value)[:40]!r}")
    except (TypeError, ValueError, ArithmeticError) as error:
        raise WeightsError(
            f"{folder / 'config.json'} does not fit {kind.__name__} ({error}); train the component again"
        ) from error
    return built


def build_network(kind: Callable[[Config], Network], config: Config, folder: Path) -> Network:
    """Build a network for the weights in `folder`; raises WeightsError where there is none of such sizes."""
    try:
        return kind(config)
    except (TypeError, ValueError, LookupError, ArithmeticError, AssertionError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{folder / 'config.json'} describes no network ({reason}); train the component again"
        ) from error


def config_entry(config: Mapping[str, Any], key: str, folder: Path) -> Any:
    """Return one entry of a configuration; raises WeightsError where config.json lacks it."""
    if key not in config:
        raise WeightsError(f"{folder / 'config.json'} lacks {key!r}; train the component again")
    return config[key]


def load_weights(network: Network, folder: Path, device: torch.device) -> Network:
    """Fill a network with the weights in `folder`, frozen and in evaluation mode; WeightsError names the folder."""
    state = weights.load_state(folder)
    try:
        weights.load_strict(network, state)
    except WeightsError as error:
        raise WeightsError(f"{folder}: {error}") from error
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.to(device)


def save_statistics(mean: Tensor, std: Tensor, folder: Path) -> None:
    """Write the statistics that normalise a network's input, [D] each."""
    # By renaming: the old file may be hard-linked into a bundle, which must keep its content.
    with replacing(folder / STATISTICS) as temporary:
        temporary.write_bytes(to_bytes({"mean": mean.cpu().contiguous(), "std": std.cpu().contiguous()}))


def load_statistics(folder: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    """Read mean and std, [D] each; raises WeightsError where the file is missing, damaged or another one."""
    path = folder / STATISTICS
    try:
        found = read_tensors(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error}); train the component again") from error
    if set(found) != {"mean", "std"} or found["mean"].ndim != 1 or found["mean"].shape != found["std"].shape:
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(found.items()))
        raise WeightsError(
            f"{path} holds {shapes or 'nothing'} instead of mean [D] and std [D]; train the component again"
        )
    return found["mean"].to(device), found["std"].to(device)


def link_files(source: Path, target: Path) -> None:
    """Link the files of one component folder into another; copies where hard links are not possible.

    RECORDS are skipped: they are not part of a model.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name not in RECORDS:
            link_file(file, target / file.name)


def link_file(source: Path, target: Path) -> None:
    """Link a file; copies it where hard links are not possible."""
    try:
        target.hardlink_to(source.resolve())  # a download cache holds symbolic links
    except OSError:
        shutil.copyfile(source, target)
