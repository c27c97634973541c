"""Networks, decoders and metrics give on a GPU what they give on a CPU, where the golden numbers are checked.

Tolerances are of single precision without TF32; random numbers are the same on both, drawn on the CPU or by hash.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_bundles import tiny_bundle, tiny_clips
from tiny_clip import write_clip
from tiny_minilm import sha256_of, write_minilm
from tiny_networks import SIZES, enlarged, generator
from torch import Tensor, nn

from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.evaluation.evaluators import joints_in_batches
from hmu_tasks.methods.refusal import activations
from hmu_tasks.metrics.motion import jerk_figures
from hmu_tasks.models.evaluators.classifier import CLASSIFIERS, ClassifierConfig, Violence
from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.generators import bamm_decoding
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.length import LengthConfig, LengthEstimator
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.sampling import hashed_uniforms
from hmu_tasks.models.generators.t2mgpt_base import T2mGptConfig, T2mGptTransformer
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.text.encoders import ClipTextEncoder, SmallTextConfig, SmallTextEncoder
from hmu_tasks.models.text.minilm import PrincipalDirections, read_sentence_encoder
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.probes.likelihood import guided_losses, padded_codes
from hmu_tasks.probes.regrowth import grown_books
from hmu_tasks.training.loop.code_batches import CodeSet

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GPU = torch.device("cuda")
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
PLAIN: dict[str, Any] = {**SIZES, "dropout": 0.0}
NETWORKS: dict[str, Callable[[], CodeNetwork]] = {
    "momask": lambda: enlarged(MaskTransformer(MaskTransformerConfig(**PLAIN), seed=1)),
    "bamm": lambda: enlarged(BammTransformer(BammConfig(**PLAIN), seed=1)),
    "t2mgpt": lambda: enlarged(T2mGptTransformer(T2mGptConfig(**PLAIN), seed=1)),
    "residual": lambda: enlarged(
        ResidualTransformer(ResidualTransformerConfig(**PLAIN, quantizers=4), seed=1)
    ),
}
TOKENIZER = TokenizerConfig(
    features=263, width=16, code_width=8, codes=16, quantizers=3, depth=1, dropout=0.0, sample_temperature=0.0
)
LENGTHS = torch.tensor([5, 1, 12, 8])
HOW: dict[str, Any] = {"temperature": 1.0, "top_k": 0.5}


@pytest.fixture(autouse=True)
def full_precision() -> None:
    """As every step chooses its device: nothing is rounded to TF32."""
    pick_device("cuda")


def text() -> Tensor:
    return torch.randn(4, 1, 6, generator=generator(2))


def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.3, (frames, 263)).astype(np.float32) for frames in (40, 8, 196, 44, 60, 40)]


def started() -> RVQVAE:
    network = RVQVAE(TOKENIZER, seed=3).train()
    network.training_loss(torch.randn(4, 32, 263, generator=generator()), generator=generator(), active=3)
    return network.eval()


def both(network: nn.Module) -> tuple[Any, Any]:
    """The network on both devices."""
    return network, copy.deepcopy(network).to(GPU)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("fixed", [False, True])
def test_losses_and_gradients(name: str, fixed: bool) -> None:
    codes = torch.randint(20, (4, 12, 4), generator=generator())
    found = []
    for network in both(NETWORKS[name]().train()):
        device = next(network.parameters()).device
        given = (codes.to(device), text().to(device), LENGTHS.to(device), generator(5))
        result = network.fixed_loss(*given) if fixed else network.training_loss(*given)
        result.loss.backward()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
        found.append((result.loss.detach().cpu(), [grad.cpu() for grad in gradients]))
    torch.testing.assert_close(found[1][0], found[0][0], **CLOSE)
    for one, other in zip(found[1][1], found[0][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_the_tokenizer() -> None:
    here, there = both(started())
    features = torch.randn(4, 32, 263, generator=generator(1))
    losses = [
        network.train().training_loss(features.to(device), generator=generator(2), active=3).loss.item()
        for network, device in ((here, "cpu"), (there, GPU))
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    torch.testing.assert_close(there.codebooks.cpu(), here.codebooks, rtol=1e-3, atol=1e-4)
    mean, std = torch.zeros(263), torch.ones(263)
    coders = [
        Tokenizer(network.eval(), mean.to(device), std.to(device))
        for network, device in ((here, "cpu"), (there, GPU))
    ]
    codes = [np.concatenate(coder.encode(clips())) for coder in coders]
    assert (codes[0] == codes[1]).mean() > 0.99  # a latent between two codes may go either way
    given = coders[0].encode(clips())
    for one, other in zip(*(coder.decode(given) for coder in coders), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)


def test_numbers_by_hash_are_equal_to_the_bit() -> None:
    seeds = torch.randint(2**62, (50,), generator=generator())
    assert torch.equal(hashed_uniforms(seeds.to(GPU), 10, 49).cpu(), hashed_uniforms(seeds, 10, 49))


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_decoders(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = torch.tensor([3, 4, 5, 6])
    inside = torch.arange(16)[None] < LENGTHS[:, None]
    first = torch.where(inside, torch.randint(20, (4, 16), generator=generator()), -1)
    found = []
    for network in both(NETWORKS[name]()):
        device = next(network.parameters()).device
        rows, lengths = text().to(device), LENGTHS.to(device)
        numbers = hashed_uniforms(seeds.to(device), 5, 12 if name == "t2mgpt" else 16)
        if isinstance(network, MaskTransformer):
            codes = network.decode(
                rows, lengths, numbers, tokens=16, steps=5, cfg_scale=3.0, whole=True, **HOW
            )
        elif isinstance(network, ResidualTransformer):
            given = (first.to(device), rows, lengths, numbers[:3])
            codes = network.refine(*given, total=4, cfg_scale=3.0, whole=True, **HOW)
        elif isinstance(network, T2mGptTransformer):
            monkeypatch.setattr(bamm_decoding, "row_uniforms", lambda *_, given=numbers: given)
            codes = bamm_decoding.draw_once(
                network, rows, LENGTHS, cfg_scale=1.0, generator=generator(), **HOW
            )
        else:
            codes = bamm_decoding._cascade(
                network,
                rows,
                lengths,
                numbers[:2],
                predicts=False,
                tokens=16,
                cfg_scales=(3.0, 2.0),
                noise=None,
                cached=True,
                published=False,
                **HOW,
            )
        found.append(codes.cpu())
    assert float((found[0] == found[1]).float().mean()) > 0.97


@torch.no_grad()
def test_the_evaluator_the_text_encoder_and_the_length_estimator() -> None:
    sizes = EvaluatorConfig(features=263, movement_width=8, motion_hidden=8, text_hidden=8, width=8)
    here, there = both(Evaluator(sizes, seed=1).eval())
    features, lengths = torch.randn(3, 40, 263, generator=generator()), torch.tensor([40, 24, 8])
    found = there.embed_motion(features.to(GPU), lengths).cpu()
    torch.testing.assert_close(found, here.embed_motion(features, lengths), **CLOSE)
    small, large = both(SmallTextEncoder(SmallTextConfig(width=16, words=4, word_width=8), seed=1).eval())
    said = ["a man kicks", "somebody walks slowly in a wide circle"]
    for one, other in zip(large.encode(said), small.encode(said), strict=True):
        torch.testing.assert_close(one.cpu(), other, **CLOSE)
    here, there = both(LengthEstimator(LengthConfig(text_width=6, hidden=8), seed=1).eval())
    torch.testing.assert_close(there(text()[:, 0].to(GPU)).cpu(), here(text()[:, 0]), **CLOSE)


@torch.no_grad()
def test_frozen_text_encoders(tmp_path: Path) -> None:
    said = ["kick", "a person kicks", "somebody walks slowly in a wide circle"]
    clip = write_clip(tmp_path / "clip")
    for one, other in zip(
        ClipTextEncoder(clip, GPU).encode(said), ClipTextEncoder(clip).encode(said), strict=True
    ):
        assert one.device.type == "cuda"
        torch.testing.assert_close(one.cpu(), other, **CLOSE)
    folder = write_minilm(tmp_path / "minilm")
    files = [folder / name for name in ("model.safetensors", "config.json", "vocab.txt")]
    small, large = both(read_sentence_encoder(*files, sha256=sha256_of(folder), key="key"))
    torch.testing.assert_close(large.vectors(said).cpu(), small.vectors(said), **CLOSE)
    main = PrincipalDirections.of(small.vectors(said), 2)
    found = copy.deepcopy(main).to(GPU)(large.vectors(said)).cpu()
    torch.testing.assert_close(found, main(small.vectors(said)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("model", ["momask", "bamm", "t2mgpt"])
def test_what_attacks_compute(model: str) -> None:
    """The loss of given codes with its gradient, new codebooks, and activations for refusal vectors."""
    here, there = tiny_bundle(model), moved(tiny_bundle(model))
    codes, lengths = padded_codes(here.model.tokenizer.encode(tiny_clips().features[:4]), torch.device("cpu"))
    slopes = []
    for bundle, device in ((here, torch.device("cpu")), (there, GPU)):
        leaf = text().to(device).requires_grad_(True)
        given = (codes.to(device), leaf, lengths.to(device))
        losses = guided_losses(bundle.model, *given, cfg_scale=2.0, generator=generator(4))
        (slope,) = torch.autograd.grad(losses.sum(), leaf)
        slopes.append((losses.detach().cpu(), slope.cpu()))
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-3, atol=1e-4)
    books = [
        grown_books(bundle.model.tokenizer, tiny_clips().features, rows=2, seed=0) for bundle in (here, there)
    ]
    torch.testing.assert_close(books[1].cpu(), books[0], rtol=1e-3, atol=1e-4)
    known = CodeSet(
        here.model.tokenizer.encode(tiny_clips().features[:4]),
        [[str(i)] for i in range(4)],
        {str(i): row for i, row in enumerate(text())},
    )
    for network in here.model.networks.values():
        read = [
            activations(network, known, np.arange(4), seed=3, device=device)
            for device in (torch.device("cpu"), GPU)
        ]
        torch.testing.assert_close(read[1], read[0], rtol=1e-3, atol=1e-4)
        assert next(network.parameters()).device.type == "cpu"


def moved(bundle: Bundle) -> Bundle:
    """The model's tokenizer and networks on the GPU."""
    whole = bundle.model
    own = whole.tokenizer
    tokenizer = Tokenizer(own.network.to(GPU), own.mean.to(GPU), own.std.to(GPU))
    networks = {name: network.to(GPU) for name, network in whole.networks.items()}
    return replace(bundle, model=whole.with_parts(tokenizer=tokenizer, **networks))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_classifiers(name: str) -> None:
    here, there = both(CLASSIFIERS[name](ClassifierConfig(features=263, width=8), seed=1).eval())
    mean, std = torch.zeros(263), torch.ones(263)
    expected = Violence(here, mean, std, 0.5).scores(clips())
    found = Violence(there, mean.to(GPU), std.to(GPU), 0.5).scores(clips())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_joints_and_what_is_measured_on_them() -> None:
    expected = [to_joints(clip) for clip in clips()]
    found = joints_in_batches(clips(), GPU, batch=4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    figures = [jerk_figures(joints) for joints in (found, expected)]
    np.testing.assert_allclose(figures[0].peak, figures[1].peak, rtol=1e-2)
    np.testing.assert_allclose(figures[0].area, figures[1].area, rtol=1e-2)
