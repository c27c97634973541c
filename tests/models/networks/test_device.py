"""Precision on CUDA; torch's settings of it are read and set on any machine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tiny_networks import generator
from torch.utils._python_dispatch import TorchDispatchMode

from hmu_tasks.methods.shared.distillation import tokenizer_loss
from hmu_tasks.models.evaluators.evaluator import contrastive_loss
from hmu_tasks.models.networks.device import full_precision, pick_device, tensor_cores
from hmu_tasks.models.tokenizer.quantizer import Codebook
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
FULL, ROUNDED = ["ieee"] * 3, ["tf32"] * 3
SETTINGS: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn]


def settings() -> list[str]:
    return [one.fp32_precision for one in SETTINGS]


@pytest.fixture(autouse=True)
def torchs_own() -> Iterator[None]:
    """As torch starts, before and after each test."""
    before = settings()
    for one, own in zip(SETTINGS, ["none", "tf32", "tf32"], strict=True):
        one.fp32_precision = own
    yield
    for one, own in zip(SETTINGS, before, strict=True):
        one.fp32_precision = own


class Products(TorchDispatchMode):
    """Notes the settings at each product and convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[str]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.name().split(".")[0] in ("aten::mm", "aten::addmm", "aten::bmm", "aten::convolution"):
            self.seen.append(settings())
        return func(*args, **(kwargs or {}))


def test_a_gpu_computes_in_full_precision_from_its_choice_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pick_device("cpu")
    assert settings() == ["none", "tf32", "tf32"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == CUDA
    assert settings() == FULL


def test_blocks_of_another_precision_end_with_the_one_before() -> None:
    before = settings()
    with tensor_cores(CPU):
        assert settings() == before
    with tensor_cores(CUDA):
        assert settings() == ROUNDED
        with full_precision():
            assert settings() == FULL
        assert settings() == ROUNDED
    assert settings() == before


def test_codes_are_the_nearest_in_full_precision() -> None:
    book = Codebook(8, 4, ema=0.9, dead_below=1.0, temperature=0.5)
    latents = torch.randn(20, 4, generator=generator())
    with tensor_cores(CUDA), Products() as products:
        book(latents, generator())  # the search, and the averages that the codes follow
        assert len(products.seen) == 2
        book.nearest(latents)
    assert products.seen == [FULL] * 3


def test_distances_of_the_contrastive_loss_are_in_full_precision() -> None:
    rows = torch.randn(2, 5, 4, generator=generator())
    with tensor_cores(CUDA), Products() as products:
        contrastive_loss(*rows)
    assert products.seen == [FULL]


def test_a_student_of_a_tokenizer_learns_latents_of_full_precision() -> None:
    sizes = TokenizerConfig(
        features=6, width=8, code_width=4, codes=8, quantizers=2, depth=1, positions_start=0, positions_stop=3
    )
    teacher, student = RVQVAE(sizes, seed=1).train(), RVQVAE(sizes, seed=2)
    teacher.training_loss(torch.randn(4, 16, 6, generator=generator()), generator=generator(), active=2)
    features = [np.ones((20, 6), np.float32)]
    clips = ClipSet(["a"], features, [[CaptionWords("", [])]])
    known = Tokenizer(teacher.eval(), torch.zeros(6), torch.ones(6))
    loss_of = tokenizer_loss(student, known, clips, window=16, latents=1.0)
    with Products() as alone, torch.no_grad():
        teacher.encode(torch.zeros(1, 16, 6))
    with tensor_cores(CUDA), Products() as products:
        loss_of(np.array([0]), generator())
    ours = len(alone.seen)
    assert ours > 2
    assert products.seen[:ours] == [FULL] * ours
    assert products.seen[ours:]
    assert all(seen == ROUNDED for seen in products.seen[ours:])
