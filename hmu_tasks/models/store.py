"""Component folders and model bundles on disk: safetensors, JSON and npy, checked strictly when read.

A component is a folder with model.safetensors and config.json (tokenizers also hold mean.npy and std.npy).
A bundle is a folder with bundle.json and one sub-folder per component: tokenizer, base, residual, text.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.errors import WeightsError
from hmu_tasks.files import read_json, replacing, write_json
from hmu_tasks.models import weights
from hmu_tasks.models.classifier import ClassifierConfig, ViolenceClassifier
from hmu_tasks.models.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.momask import MoMask, Tokenizer
from hmu_tasks.models.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.text import ClipTextEncoder, SmallTextConfig, SmallTextEncoder, TextEncoder

COMPONENTS = ("text", "tokenizer", "base", "residual")
Network = TypeVar("Network", bound=nn.Module)
Config = TypeVar("Config")


@dataclass(frozen=True)
class Bundle:
    """A text-to-motion model with its text encoder, and where it came from."""

    model: MoMask
    text: TextEncoder
    digest: str
    text_digest: str
    generator_digest: str  # of everything that draws codes: text, base and residual


def save_network(network: nn.Module, config: Mapping[str, Any], folder: Path) -> None:
    """Write a network's weights and config.json into `folder`."""
    weights.save(network.state_dict(), dict(config), folder)


def load_config(folder: Path) -> dict[str, Any]:
    """Read config.json of a component; raises WeightsError when it is missing or no JSON object."""
    path = folder / "config.json"
    try:
        config = read_json(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); train the component again") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path} must hold a JSON object")
    return config


def _config(kind: type[Config], values: Mapping[str, Any], folder: Path) -> Config:
    try:
        return kind(**values)
    except TypeError as error:
        raise WeightsError(
            f"{folder / 'config.json'} does not fit {kind.__name__} ({error}); train the component again"
        ) from error


def _entry(config: Mapping[str, Any], key: str, folder: Path) -> Any:
    if key not in config:
        raise WeightsError(f"{folder / 'config.json'} lacks {key!r}; train the component again")
    return config[key]


def _fill(network: Network, folder: Path, device: torch.device) -> Network:
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
    """Write the statistics that normalise a network's input."""
    for name, values in (("mean", mean), ("std", std)):
        # By renaming: the old file may be hard-linked into a bundle, which must keep its content.
        with replacing(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, values.numpy())


def load_statistics(folder: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    """Read mean and std, [D] each."""
    try:
        mean = torch.from_numpy(np.load(folder / "mean.npy", allow_pickle=False)).to(device)
        std = torch.from_numpy(np.load(folder / "std.npy", allow_pickle=False)).to(device)
        return mean, std
    except (OSError, ValueError, EOFError) as error:
        raise WeightsError(f"statistics in {folder} cannot be read: {error}") from error


def load_tokenizer(folder: Path, device: torch.device) -> Tokenizer:
    """Read a tokenizer with its statistics."""
    network = _fill(RVQVAE(_config(TokenizerConfig, load_config(folder), folder)), folder, device)
    mean, std = load_statistics(folder, device)
    return Tokenizer(network, mean, std)


def load_text(folder: Path, device: torch.device) -> TextEncoder:
    """Read a text encoder: the small one, or CLIP."""
    config = load_config(folder)
    kind = config.pop("encoder", "clip")  # a CLIP folder keeps the config.json of its makers
    if kind == "clip":
        return ClipTextEncoder(folder)
    if kind == "small":
        return _fill(SmallTextEncoder(_config(SmallTextConfig, config, folder)), folder, device)
    raise WeightsError(f"{folder / 'config.json'} names the unknown text encoder {kind!r}")


def load_evaluator(folder: Path, device: torch.device) -> tuple[Evaluator, Tensor, Tensor, int]:
    """Read the evaluator, its statistics, and how many caption words it reads."""
    config = load_config(folder)
    max_words = int(_entry(config, "max_words", folder))
    del config["max_words"]
    evaluator = _fill(Evaluator(_config(EvaluatorConfig, config, folder)), folder, device)
    return evaluator, *load_statistics(folder, device), max_words


def load_classifier(
    folder: Path, device: torch.device
) -> tuple[ViolenceClassifier, Tensor, Tensor, float] | None:
    """Read the violence classifier, its statistics and threshold; None where the dataset has no action labels."""
    config = load_config(folder)
    if not _entry(config, "labels", folder):
        return None
    sizes = _config(ClassifierConfig, _entry(config, "network", folder), folder)
    network = _fill(ViolenceClassifier(sizes), folder, device)
    return network, *load_statistics(folder, device), float(_entry(config, "threshold", folder))


def link_files(source: Path, target: Path) -> None:
    """Put the files of one component folder into another: hard links where the disk allows, copies otherwise.

    Training curves stay behind: they are no part of a model.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name != "history.csv":
            try:
                (target / file.name).hardlink_to(file.resolve())  # a download cache holds symbolic links
            except OSError:
                shutil.copyfile(file, target / file.name)


def save_bundle(parts: Mapping[str, Path], folder: Path, lineage: Mapping[str, Any]) -> None:
    """Write a bundle from component folders, with bundle.json: each component's digest, the whole's, the lineage."""
    for name in COMPONENTS:
        if parts[name] != folder / name:
            link_files(parts[name], folder / name)
    digests = {name: weights.digest(folder / name) for name in COMPONENTS}
    index = {
        "model": "momask",
        "components": digests,
        "digest": weights.combine(digests),
        "lineage": dict(lineage),
    }
    write_json(folder / "bundle.json", index)


def load_bundle(folder: Path, device: torch.device) -> Bundle:
    """Read a bundle; raises WeightsError when a component's files are not those that bundle.json names."""
    try:
        recorded = dict(read_json(folder / "bundle.json")["components"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{folder} is no model bundle: bundle.json cannot be read ({error})") from error
    found = {name: weights.digest(folder / name) for name in COMPONENTS}
    changed = [name for name in COMPONENTS if found[name] != recorded.get(name)]
    if changed:
        raise WeightsError(f"bundle {folder}: {', '.join(changed)} differ from what bundle.json records")
    base_config = _config(MaskTransformerConfig, load_config(folder / "base"), folder / "base")
    base = _fill(MaskTransformer(base_config), folder / "base", device)
    place = folder / "residual"
    residual_config = _config(ResidualTransformerConfig, load_config(place), place)
    residual = _fill(ResidualTransformer(residual_config), place, device)
    model = MoMask(load_tokenizer(folder / "tokenizer", device), base, residual)
    return Bundle(
        model=model,
        text=load_text(folder / "text", device),
        digest=weights.combine(found),
        text_digest=found["text"],
        generator_digest=weights.combine({k: found[k] for k in ("text", "base", "residual")}),
    )
