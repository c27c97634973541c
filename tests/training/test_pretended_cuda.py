"""What the training loop asks of a CUDA device, with one that is pretended: the networks stay on the CPU."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.training.loop import steps
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet
from hmu_tasks.training.loop.fit import Schedule, fit
from hmu_tasks.training.loop.history import Values
from hmu_tasks.training.loop.recorded import FixedLoss
from hmu_tasks.training.loop.steps import Steps, Update
from hmu_tasks.training.tokenizer import window_loss

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
FULL = ("ieee", "ieee", "ieee")
ROUNDED = ("tf32", "tf32", "tf32")
pytestmark = pytest.mark.filterwarnings("ignore:CUDA is not available.* Disabling autocast:UserWarning")


def settings() -> tuple[str, str, str]:
    cudnn: Any = torch.backends.cudnn
    return torch.backends.cuda.matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two devices can be seen, and the second is the current one; returns those whose random numbers are read."""
    read: list[int] = []

    def state(device: int) -> Tensor:
        read.append(device)
        return torch.zeros(16, dtype=torch.uint8)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_rng_state", state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *_: None)
    return read


def precisions(device: torch.device, *, mixed: bool) -> dict[str, set[tuple[str, str, str]]]:
    """The settings that a short training meets in its losses and when it validates."""
    network = nn.Linear(3, 1)
    seen: dict[str, set[tuple[str, str, str]]] = {"loss": set(), "validation": set()}

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        seen["loss"].add(settings())
        loss = network(torch.rand(len(rows), 3, generator=generator)).square().mean()
        return loss, {"loss": loss}

    def validate() -> float:
        seen["validation"].add(settings())
        return 0.0

    schedule = Schedule(3, 2, 1e-2)
    fit(
        network,
        loss_of,
        np.zeros(4),
        schedule=schedule,
        seed=1,
        device=device,
        mixed=mixed,
        validate=validate,
    )
    return seen


@pytest.mark.usefixtures("kept")
def test_losses_are_rounded_in_mixed_precision_only_and_validations_never() -> None:
    before = settings()
    assert precisions(CPU, mixed=True)["loss"] == {before}
    assert precisions(CUDA, mixed=True) == {"loss": {ROUNDED}, "validation": {FULL}}
    assert precisions(CUDA, mixed=False) == {"loss": {before}, "validation": {FULL}}
    assert settings() == before


def test_only_the_device_that_trains_is_touched(kept: list[int]) -> None:
    precisions(CPU, mixed=True)
    assert kept == []
    precisions(CUDA, mixed=True)
    assert kept == [1]


def test_a_loss_that_needs_the_whole_batch_is_refused_in_several_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tokenizer's, on a CUDA device as on a CPU; it has no buffers that several processes could share."""
    sizes = TokenizerConfig(
        features=6, width=8, code_width=4, codes=8, quantizers=2, depth=1, positions_start=0, positions_stop=3
    )
    network, elsewhere = RVQVAE(sizes), torch.device("meta")
    clips = ClipSet(["a"], [np.zeros((8, 6), np.float32)], [[CaptionWords("", [])]])
    loss = window_loss(network, clips, 8, torch.zeros(6), torch.ones(6), elsewhere)
    assert isinstance(loss, FixedLoss)
    monkeypatch.setattr(steps, "processes", lambda: 2)
    with pytest.raises(ConfigError, match="trains in one process; start its training without torchrun"):
        Steps(network, loss, Update(lambda *_, **__: {}, print), list, print, seed=0, device=elsewhere)
