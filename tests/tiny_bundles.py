"""Whole text-to-motion models of a few thousand random weights, as bundles in memory."""

from dataclasses import replace

import numpy as np
import torch

from hmu_tasks.models import model_named
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.text.encoders import SmallTextConfig, SmallTextEncoder
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

FEATURES = 12
TOKENIZER = TokenizerConfig(
    features=FEATURES,
    width=8,
    code_width=8,
    codes=64,
    quantizers=3,
    depth=1,
    positions_start=2,
    positions_stop=8,
)


def tiny_bundle(model: str = "momask", *, seed: int = 0, text_width: int = 6) -> Bundle:
    """A model with codebooks that look trained: rows vary much in few directions and hardly in the others."""
    random = torch.Generator().manual_seed(seed)
    sizes = {
        "codes": TOKENIZER.codes,
        "code_width": 8,
        "text_width": text_width,
        "latent": 16,
        "layers": 1,
        "heads": 2,
    }
    kind = model_named(model)
    spectrum = 10.0 ** -torch.linspace(0.0, 2.5, 8)
    books = torch.randn(TOKENIZER.quantizers, TOKENIZER.codes, 8, generator=random) * spectrum
    network = RVQVAE(TOKENIZER, seed=seed).with_codebooks(books)
    networks = {}
    for name, described in kind.networks.items():
        more = {"quantizers": TOKENIZER.quantizers} if name == "residual" else {}
        config = found_at(described.config)(**sizes, feedforward=16, **more)
        networks[name] = found_at(described.network)(config, seed=seed).eval()
    whole = found_at(kind.generator)(
        Tokenizer(network.eval(), torch.full((FEATURES,), 0.5), torch.full((FEATURES,), 2.0)), **networks
    )
    text = SmallTextEncoder(SmallTextConfig(width=text_width, word_width=4, buckets=64), seed=seed).eval()
    for part in (whole.tokenizer.network, *networks.values(), text):
        part.requires_grad_(False)  # as in a bundle that is read from its folder
    return Bundle(whole, text, f"bundle-{seed}", f"text-{seed}", f"generator-{seed}")


def with_books(bundle: Bundle, books: torch.Tensor) -> Bundle:
    """The bundle as an edit of its codebooks would leave it."""
    return replace(bundle, model=bundle.model.with_codebooks(books), digest=f"{bundle.digest}-edited")


def state(bundle: Bundle) -> dict[str, torch.Tensor]:
    """A copy of every tensor of a bundle by name."""
    parts = {"tokenizer": bundle.model.tokenizer.network, **bundle.model.networks, "text": bundle.text}
    return {
        f"{part}.{name}": values.detach().clone()
        for part, network in parts.items()
        for name, values in network.state_dict().items()
    }


def same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two states hold the same bytes."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def tiny_clips(count: int = 6) -> ClipSet:
    """Clips of random motion, each with two captions."""
    rng = np.random.default_rng(3)
    features = [
        (0.5 + 2 * rng.standard_normal((4 * (5 + i), FEATURES))).astype(np.float32) for i in range(count)
    ]
    captions = [
        [CaptionWords(f"a person kicks {i} times", []), CaptionWords(f"somebody fights {i}", [])]
        for i in range(count)
    ]
    return ClipSet([f"clip{i}" for i in range(count)], features, captions)
