"""Model bundles on disk: bundle.json and one folder per part, each checked strictly when read.

A bundle is a folder with bundle.json and one sub-folder per part: text encoder, tokenizer, and the model's networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hmu_tasks.models import MODELS, Network, model_named
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.sampling import with_negative
from hmu_tasks.models.generators.text_to_motion import TextToMotion
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import (
    build_config,
    build_network,
    link_files,
    load_config,
    load_weights,
)
from hmu_tasks.models.text.embeddings import embed_texts, stacked
from hmu_tasks.models.text.encoders import TextEncoder, load_text
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.bundle_files import check_part
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import read_object, write_json


@dataclass(frozen=True)
class Bundle:
    """A text-to-motion model with its text encoder, and where it came from."""

    model: TextToMotion
    text: TextEncoder
    digest: str
    text_digest: str
    generator_digest: str  # of everything that samples codes: text encoder and networks

    def embedded(self, texts: Sequence[str], *, cache: Path, device: torch.device) -> Tensor:
        """Embed texts as the model reads them, [B, 1 + n, W] on the device; cache: folder of cache files."""
        rows = embed_texts(self.text, texts, cache=cache, digest=self.text_digest)
        return stacked(rows, texts).to(device)


def save_bundle(parts: Mapping[str, Path], folder: Path, lineage: Mapping[str, Any], *, model: str) -> None:
    """Write a bundle from the folders of its parts, with bundle.json: each part's digest, the whole's, the lineage.

    parts: a folder for each of `Model.parts`. model: a name of MODELS.
    """
    names = model_named(model).parts
    for name in names:
        if parts[name] != folder / name:
            link_files(parts[name], folder / name)
    digests = {name: weights.digest(folder / name) for name in names}
    index = {
        "model": model,
        "components": digests,
        "digest": weights.combine(digests),
        "lineage": dict(lineage),
    }
    write_json(folder / "bundle.json", index)


def load_bundle(folder: Path, device: torch.device) -> Bundle:
    """Read a bundle; raises WeightsError when the files of a part are not those that bundle.json names."""
    try:
        index = read_object(folder / "bundle.json", "components", "model")
        recorded, name = dict(index["components"]), str(index["model"])
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{folder} is not a model bundle: bundle.json cannot be read ({error}); make or download the bundle again"
        ) from error
    if name not in MODELS:
        raise WeightsError(f"bundle {folder} holds the unknown model {name!r}; known: {', '.join(MODELS)}")
    kind = model_named(name)
    _check({part: folder / part for part in kind.parts})
    found = {part: weights.digest(folder / part) for part in kind.parts}
    changed = [part for part in kind.parts if found[part] != recorded.get(part)]
    if changed:
        raise WeightsError(
            f"bundle {folder}: {', '.join(changed)} differ from what bundle.json records; "
            "make or download the bundle again"
        )
    return _bundle(name, {part: folder / part for part in kind.parts}, found, device)


def assembled(model: str, places: Mapping[str, Path], device: torch.device) -> Bundle:
    """Put a model together from the folders of its parts, such as trained components, without writing a bundle.

    places: a folder for each of `Model.parts`.
    """
    places = {part: places[part] for part in model_named(model).parts}
    _check(places)
    digests = {part: weights.digest(place) for part, place in places.items()}
    return _bundle(model, places, digests, device)


def _check(places: Mapping[str, Path]) -> None:
    """Check all parts before they are read whole, and before anything is built that is as large as they say."""
    for place in places.values():
        if not place.is_dir():
            raise WeightsError(f"{place} does not exist; run the step that makes it")
        check_part(place)


def _bundle(
    name: str, places: Mapping[str, Path], digests: Mapping[str, str], device: torch.device
) -> Bundle:
    kind = model_named(name)
    networks = {part: _load_network(network, places[part], device) for part, network in kind.networks.items()}
    text = load_text(places["text"], device)
    for part, network in networks.items():
        reads = getattr(network.config, "words", text.words)
        if reads != text.words:
            raise WeightsError(
                f"{places[part]} was trained to read {reads} words beside the sentence vector, but the text encoder "
                f"gives {text.words}; put together parts of one train.text.words"
            )
    model: TextToMotion = found_at(kind.generator)(load_tokenizer(places["tokenizer"], device), **networks)
    return Bundle(
        model=model,
        text=text,
        digest=weights.combine(digests),
        text_digest=digests["text"],
        generator_digest=weights.combine({part: digests[part] for part in ("text", *networks)}),
    )


def _load_network(described: Network, folder: Path, device: torch.device) -> CodeNetwork:
    """Read a network with the text that it steers away from, where it has one."""
    config = build_config(found_at(described.config), load_config(folder), folder)
    network: CodeNetwork = build_network(found_at(described.network), config, folder)
    return with_negative(load_weights(network, folder, device), folder, device)
