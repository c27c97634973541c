"""Model bundles on disk: bundle.json and one folder per component, each checked strictly when read.

A bundle is a folder with bundle.json and one sub-folder per component: tokenizer, base, residual, text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hmu_tasks.models import MODELS, model_class
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.sampling import with_negative
from hmu_tasks.models.generators.text_to_motion import TextToMotion
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import build_config, link_files, load_config, load_weights
from hmu_tasks.models.text.encoders import TextEncoder, load_text
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import read_json, write_json

COMPONENTS = ("text", "tokenizer", "base", "residual")


@dataclass(frozen=True)
class Bundle:
    """A text-to-motion model with its text encoder, and where it came from."""

    model: TextToMotion
    text: TextEncoder
    digest: str
    text_digest: str
    generator_digest: str  # of everything that draws codes: text, base and residual


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
    base_config = build_config(kind.config, load_config(folder / "base"), folder / "base")
    base = with_negative(
        load_weights(kind.network(base_config), folder / "base", device), folder / "base", device
    )
    place = folder / "residual"
    residual_config = build_config(ResidualTransformerConfig, load_config(place), place)
    residual = with_negative(load_weights(ResidualTransformer(residual_config), place, device), place, device)
    model = kind(load_tokenizer(folder / "tokenizer", device), base, residual)
    return Bundle(
        model=model,
        text=load_text(folder / "text", device),
        digest=weights.combine(found),
        text_digest=found["text"],
        generator_digest=weights.combine({k: found[k] for k in ("text", "base", "residual")}),
    )
