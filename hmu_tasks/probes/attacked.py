"""Bundles with components replaced in memory, under their own digests so that caches stay correct."""

import hashlib
from collections.abc import Mapping
from typing import Any

from safetensors.torch import save as to_bytes
from torch import nn

from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.sampling import Negative
from hmu_tasks.models.networks import weights
from hmu_tasks.models.text.encoders import ClipTextEncoder, TextEncoder
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer


def exchanged(bundle: Bundle, **parts: Any) -> Bundle:
    """Return a bundle with some parts replaced, by name; the rest is shared, and the input is not modified.

    Digests follow from the input's and from the contents of the new parts. If text encoder and networks are
    unchanged, so is the digest of the generator: codes sampled for the input are valid for the result.
    """
    known = ("text", *bundle.model.parts)
    if not parts or not set(parts) <= set(known):
        raise ValueError(f"a bundle has {', '.join(known)}; cannot replace {sorted(parts)}")
    found = {name: part_digest(part) for name, part in parts.items()}
    sampling = {name: digest for name, digest in found.items() if name != "tokenizer"}
    text: TextEncoder = parts.get("text", bundle.text)
    return Bundle(
        model=bundle.model.with_parts(**{name: part for name, part in parts.items() if name != "text"}),
        text=text,
        digest=_combined(bundle.digest, found),
        text_digest=_combined(bundle.text_digest, {k: v for k, v in found.items() if k == "text"}),
        generator_digest=_combined(bundle.generator_digest, sampling),
    )


def network_of(part: Any) -> nn.Module:
    """Return the network that holds the weights of a bundle's part."""
    if isinstance(part, Tokenizer):
        return part.network
    if isinstance(part, ClipTextEncoder):
        found: nn.Module = part.model
        return found
    if not isinstance(part, nn.Module):
        raise TypeError(f"{type(part).__name__} is not a part of a bundle with weights")
    return part


def _combined(before: str, changed: Mapping[str, str]) -> str:
    return weights.combine({"from": before, **changed}) if changed else before


def part_digest(part: Any) -> str:
    """SHA-256 of a part's tensors: weights, the tokenizer's statistics, and a text to steer away from."""
    network = network_of(part)
    state = dict(network.state_dict())
    if isinstance(part, Tokenizer):
        state |= {"statistics.mean": part.mean, "statistics.std": part.std}
    negative = getattr(network, "negative", None)
    if isinstance(negative, Negative):
        state |= {
            "negative.text": negative.text,
            "negative.weight": negative.text.new_tensor(negative.weight),
        }
    # Clones: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: state[name].detach().cpu().contiguous().clone() for name in sorted(state)}
    return hashlib.sha256(to_bytes(tensors)).hexdigest()
