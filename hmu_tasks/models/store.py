"""Component folders and model bundles on disk: safetensors and JSON, checked strictly when read.

A component is a folder with model.safetensors and config.json; what reads motions also has statistics.safetensors.
A bundle is a folder with bundle.json and one sub-folder per component: tokenizer, base, residual, text.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from hmu_tasks.errors import WeightsError
from hmu_tasks.files import read_json, replacing, write_json
from hmu_tasks.models import MODELS, model_class, weights
from hmu_tasks.models.classifier import ClassifierConfig, ViolenceClassifier
from hmu_tasks.models.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.length import LengthConfig, LengthEstimator
from hmu_tasks.models.momask import TextToMotion, Tokenizer
from hmu_tasks.models.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.sampling import Negative
from hmu_tasks.models.text import ClipTextEncoder, SmallTextConfig, SmallTextEncoder, TextEncoder
from hmu_tasks.models.words import HashedWords, Words, load_glove

# Records of how a component came about: no part of a model, so that they stay behind when it is linked or digested.
SOURCE = "source.json"
RECORDS = ("history.csv", SOURCE)
# Beside a base or residual transformer's weights: a text to steer away from, where a method asks for that.
NEGATIVE = "negative.safetensors"
# Mean and standard deviation with which a network's input was normalised.
STATISTICS = "statistics.safetensors"
COMPONENTS = ("text", "tokenizer", "base", "residual")
Network = TypeVar("Network", bound=nn.Module)
Config = TypeVar("Config")


@dataclass(frozen=True)
class Bundle:
    """A text-to-motion model with its text encoder, and where it came from."""

    model: TextToMotion
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
    if "absent" in config:
        raise WeightsError(f"{folder} holds no network: {config['absent']}")
    return config


def save_absent(folder: Path, reason: str) -> None:
    """Write a component folder that says why there is no such network."""
    write_json(folder / "config.json", {"absent": reason})


def absent_reason(folder: Path) -> str | None:
    """Say why a component was left out; None where it is there, or was never made."""
    path = folder / "config.json"
    reason = read_json(path).get("absent") if path.is_file() else None
    return None if reason is None else str(reason)


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
    """Write the statistics that normalise a network's input, [D] each."""
    # By renaming: the old file may be hard-linked into a bundle, which must keep its content.
    with replacing(folder / STATISTICS) as temporary:
        temporary.write_bytes(to_bytes({"mean": mean.cpu().contiguous(), "std": std.cpu().contiguous()}))


def load_statistics(folder: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    """Read mean and std, [D] each; raises WeightsError where the file is missing, damaged or another one."""
    path = folder / STATISTICS
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); train the component again") from error
    if set(found) != {"mean", "std"} or found["mean"].ndim != 1 or found["mean"].shape != found["std"].shape:
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(found.items()))
        raise WeightsError(f"{path} holds {shapes or 'nothing'} instead of mean [D] and std [D]")
    return found["mean"].to(device), found["std"].to(device)


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


def save_length(state: Mapping[str, Tensor], config: Mapping[str, Any], folder: Path) -> None:
    """Put a length estimator beside the text encoder whose sentence vectors it reads."""
    with replacing(folder / "length.safetensors") as temporary:
        temporary.write_bytes(to_bytes({name: state[name].contiguous() for name in sorted(state)}))
    write_json(folder / "length.json", dict(config))


def load_length(folder: Path, device: torch.device) -> LengthEstimator | None:
    """Read the length estimator of a text encoder's folder; None where it has none."""
    if not (folder / "length.json").is_file():
        return None
    try:
        config, state = dict(read_json(folder / "length.json")), load_file(folder / "length.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(
            f"the length estimator in {folder} cannot be read ({error}); import it again"
        ) from error
    network = LengthEstimator(_config(LengthConfig, config, folder))
    weights.load_strict(network, state)
    return network.eval().requires_grad_(False).to(device)


def load_evaluator(folder: Path, device: torch.device) -> tuple[Evaluator, Tensor, Tensor, int]:
    """Read the evaluator, its statistics, and how many caption words it reads."""
    config = load_config(folder)
    max_words = int(_entry(config, "max_words", folder))
    del config["max_words"]
    config.pop("words", None)
    evaluator = _fill(Evaluator(_config(EvaluatorConfig, config, folder)), folder, device)
    return evaluator, *load_statistics(folder, device), max_words


def load_words(folder: Path) -> Words:
    """Read the vocabulary of an evaluator: the published one's GloVe vectors, or the hashed ones of our own."""
    config = load_config(folder)
    kind = config.get("words", "hashed")
    if kind == "glove":
        return load_glove(folder)
    if kind == "hashed":
        return HashedWords(int(_entry(config, "word_width", folder)))
    raise WeightsError(f"{folder / 'config.json'} names the unknown vocabulary {kind!r}")


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


def save_negative(negative: Negative, folder: Path) -> None:
    """Put a text to steer away from into the folder of a base or residual transformer."""
    state = {"text": negative.text, "weight": torch.tensor(negative.weight, dtype=torch.float64)}
    with replacing(folder / NEGATIVE) as temporary:
        temporary.write_bytes(to_bytes(state))


def _with_negative(network: Network, folder: Path, device: torch.device) -> Network:
    """Give a transformer the text to steer away from where its folder holds one."""
    path = folder / NEGATIVE
    if path.exists():
        try:
            state = load_file(path)
            text, weight = state["text"].to(device), float(state["weight"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise WeightsError(f"{path} cannot be read ({error}); apply the method again") from error
        network.negative = Negative(text, weight)  # type: ignore[assignment]  # no tensor of the network
    return network


def link_files(source: Path, target: Path) -> None:
    """Put the files of one component folder into another: hard links where the disk allows, copies otherwise.

    RECORDS stay behind: they are no part of a model.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name not in RECORDS:
            try:
                (target / file.name).hardlink_to(file.resolve())  # a download cache holds symbolic links
            except OSError:
                shutil.copyfile(file, target / file.name)


def save_bundle(parts: Mapping[str, Path], folder: Path, lineage: Mapping[str, Any], *, model: str) -> None:
    """Write a bundle from component folders, with bundle.json: each component's digest, the whole's, the lineage.

    model: a name of MODELS, which says what the base transformer is.
    """
    for name in COMPONENTS:
        if parts[name] != folder / name:
            link_files(parts[name], folder / name)
    digests = {name: weights.digest(folder / name) for name in COMPONENTS}
    index = {
        "model": model,
        "components": digests,
        "digest": weights.combine(digests),
        "lineage": dict(lineage),
    }
    write_json(folder / "bundle.json", index)


def load_bundle(folder: Path, device: torch.device) -> Bundle:
    """Read a bundle; raises WeightsError when a component's files are not those that bundle.json names."""
    try:
        index = read_json(folder / "bundle.json")
        recorded, name = dict(index["components"]), str(index["model"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{folder} is no model bundle: bundle.json cannot be read ({error})") from error
    found = {name: weights.digest(folder / name) for name in COMPONENTS}
    changed = [name for name in COMPONENTS if found[name] != recorded.get(name)]
    if changed:
        raise WeightsError(f"bundle {folder}: {', '.join(changed)} differ from what bundle.json records")
    if name not in MODELS:
        raise WeightsError(f"bundle {folder} holds the unknown model {name!r}; known: {', '.join(MODELS)}")
    kind = model_class(name)
    base_config = _config(kind.config, load_config(folder / "base"), folder / "base")
    base = _with_negative(_fill(kind.network(base_config), folder / "base", device), folder / "base", device)
    place = folder / "residual"
    residual_config = _config(ResidualTransformerConfig, load_config(place), place)
    residual = _with_negative(_fill(ResidualTransformer(residual_config), place, device), place, device)
    model = kind(load_tokenizer(folder / "tokenizer", device), base, residual)
    return Bundle(
        model=model,
        text=load_text(folder / "text", device),
        digest=weights.combine(found),
        text_digest=found["text"],
        generator_digest=weights.combine({k: found[k] for k in ("text", "base", "residual")}),
    )
