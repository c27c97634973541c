"""A training step that does not fit into a GPU's memory is taken in parts and stays the same step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.t2mgpt_base import T2mGptConfig, T2mGptTransformer
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.errors import ConfigError, HmuError
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import Schedule, Trained, fit
from hmu_tasks.training.loop.recorded import StepInputs, StepRecorder
from hmu_tasks.training.loop.transformers import fit_codes, fixed_code_loss
from hmu_tasks.training.tokenizer import train_tokenizer

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {"codes": 20, "code_width": 12, "latent": 16, "layers": 2, "heads": 2}
SIZES |= {"feedforward": 32, "dropout": 0.0, "text_width": 6}
NETWORKS: dict[str, Callable[[], Any]] = {
    "momask": lambda: MaskTransformer(MaskTransformerConfig(**SIZES), seed=1),
    "bamm": lambda: BammTransformer(BammConfig(**SIZES), seed=1),
    "t2mgpt": lambda: T2mGptTransformer(T2mGptConfig(**SIZES), seed=1),
    "residual": lambda: ResidualTransformer(ResidualTransformerConfig(**SIZES, quantizers=4), seed=1),
}


def trained(network: Any, *, batch: int = 7, rate: float = 1e-2, steps: int = 8) -> Trained:
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 20, size=(tokens, 4)) for tokens in rng.integers(3, 30, 21)]
    rows = {str(i): torch.from_numpy(rng.standard_normal((1, 6)).astype(np.float32)) for i in range(21)}
    known = CodeSet(codes, [[str(i)] for i in range(21)], rows)
    schedule = Schedule(steps, batch, rate, warmup=1, evaluate_every=1)
    return fit(
        network, fixed_code_loss(network, known, CPU), known.tokens, schedule=schedule, seed=3, device=CPU
    )


def full(network: Any, room: int, *, late: bool = False) -> list[int]:
    """Let a network run out of memory with more than `room` rows, in the loss or only in its gradient."""
    whole, tried = network.fixed_loss, []

    def fixed_loss(codes: Any, text: Any, lengths: Any, generator: Any, part: slice = slice(None)) -> Any:
        rows = len(lengths[part])
        tried.append(rows)
        found = whole(codes, text, lengths, generator, part)
        if rows > room and not late:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if rows > room:
            found.loss.register_hook(fail)
        return found

    def fail(_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    network.fixed_loss = fixed_loss
    return tried


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("room", "late"), [(4, False), (3, True), (1, False)])
def test_halves_give_the_step_of_the_whole_batch(
    name: str, room: int, late: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = NETWORKS[name](), NETWORKS[name]()
    tried = full(other, room, late=late)
    expected, found = trained(one), trained(other)
    parts = {4: [4, 3], 3: [2, 2, 2, 1], 1: [1] * 7}[room]
    halved = {4: [7], 3: [7, 4], 1: [7, 4, 2]}[room]
    assert tried == halved + parts * 8
    for (step, key, value), row in zip(expected.history.rows, found.history.rows, strict=True):
        assert row[:2] == (step, key)
        assert row[2] == pytest.approx(value, rel=2e-4, abs=0.01 if key == "accuracy" else 0)
    for name_of, weight in one.state_dict().items():
        same = other.state_dict()[name_of]
        if name_of.endswith("in_proj_bias"):
            # A bias of keys changes no attention: its gradient is rounding alone, of which AdamW makes whole steps.
            weight, same = ([one[:16], one[32:]] for one in (weight, same))
        torch.testing.assert_close(same, weight, rtol=1e-3, atol=2e-4)
    said = capsys.readouterr().err
    assert said.count("does not fit into the GPU's memory") == len(halved)
    assert "a training step on 7 clips does not fit into the GPU's memory; gradients of 4 at a time" in said


def test_one_clip_that_does_not_fit_is_an_error_with_a_remedy() -> None:
    network = NETWORKS["momask"]()
    full(network, 0)
    with pytest.raises(HmuError, match=r"step on 1 clips does not fit .* or lower this component's `batch`"):
        trained(network)


def test_a_loss_that_has_no_parts_is_an_error_with_a_remedy() -> None:
    network = nn.Linear(2, 1)

    def loss(rows: np.ndarray, _: torch.Generator) -> Any:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        value = network(torch.ones(len(rows), 2)).square().mean()
        return value, {"loss": value}

    options: dict[str, Any] = {"seed": 0, "device": CPU}
    with pytest.raises(HmuError, match=r"step on 4 clips does not fit .* or lower this component's `batch`"):
        fit(network, loss, np.zeros(8), schedule=Schedule(3, 4, 1e-3), **options)
    assert fit(network, loss, np.zeros(8), schedule=Schedule(3, 2, 1e-3), **options).steps == 3


def test_recordings_are_given_up_before_a_batch_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for a recording, weights are those from before the step and the next try is plain."""
    weight = torch.zeros(3)

    def advance(_: StepInputs) -> None:
        weight.add_(1.0)

    recorder = StepRecorder(advance, lambda: [weight], lambda: None)

    def full_now(*_: object) -> None:
        weight.add_(1.0)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(recorder, "_record", full_now)
    inputs = StepInputs((torch.ones(1),), "a")
    with pytest.raises(torch.OutOfMemoryError):
        recorder.run(inputs)
    assert weight.tolist() == [0.0] * 3
    assert recorder.used
    recorder.give_up("no room")
    recorder.run(inputs)
    assert weight.tolist() == [1.0] * 3


def test_a_training_that_diverges_stops_with_a_remedy() -> None:
    network = NETWORKS["momask"]()
    with torch.no_grad():
        network.cond_emb.weight.fill_(float("nan"))
    with pytest.raises(ConfigError, match=r"has diverged: loss is not finite .* up to 1; lower the `rate`"):
        trained(network)


def validated(network: Any, **options: Any) -> list[float]:
    """Validations of a training that changes nothing, so that they differ by their parts alone."""
    found = Schedule(2, 4, 0.0, evaluate_every=1), 3, CPU, None, None
    names = ("schedule", "seed", "device", "checkpoint", "progress")
    common: Any = dict(zip(names, found, strict=True)) | options
    if isinstance(network, RVQVAE):
        features = [np.random.default_rng(i).normal(size=(20, 6)).astype(np.float32) for i in range(5)]
        clips = ClipSet([*"abcde"], features, [[CaptionWords("", [])]] * 5)
        trained = train_tokenizer(
            network, clips, clips, mean=torch.zeros(6), std=torch.ones(6), window=16, **common
        )
    else:
        codes = [np.random.default_rng(i).integers(0, 20, size=(6, 4)) for i in range(5)]
        rows = {str(i): torch.randn(1, 6, generator=torch.Generator().manual_seed(i)) for i in range(5)}
        known = CodeSet(codes, [[str(i)] for i in range(5)], rows)
        trained = fit_codes(network, known, known, **common)
    return [value for _, name, value in trained.history.rows if name == "validation"]


def tokenizer() -> RVQVAE:
    sizes = TokenizerConfig(
        features=6, width=8, code_width=4, codes=8, quantizers=2, depth=1, positions_start=0, positions_stop=3
    )
    network = RVQVAE(sizes, seed=1).train()
    stream = torch.Generator().manual_seed(0)
    network.training_loss(torch.randn(4, 16, 6, generator=stream), generator=stream, active=2)
    return network


def test_a_validation_that_does_not_fit_is_made_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    expected = validated(tokenizer())
    network = tokenizer()
    whole = network.encode

    def encode(x: torch.Tensor) -> torch.Tensor:
        if len(x) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(x)

    network.encode = encode  # type: ignore[method-assign]
    capsys.readouterr()
    assert validated(network) == pytest.approx(expected, rel=1e-5)
    told = capsys.readouterr().err.splitlines()
    assert told == ["note: 5 clips do not fit into the GPU's memory at once; now 2 at a time"]


@pytest.mark.parametrize("name", NETWORKS)
def test_validations_of_codes_are_made_in_parts_that_stay(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    network = NETWORKS[name]()
    (expected, _) = validated(network)
    whole, room = network.training_loss, 2

    def training_loss(codes: Any, text: Any, lengths: Any, generator: Any) -> Any:
        found = whole(codes, text, lengths, generator)  # takes random numbers before it fails
        if len(codes) > room and not network.training:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    network.training_loss = training_loss
    one, other = validated(network)
    assert one == other  # with the same masks again
    assert one == pytest.approx(expected, rel=0.1)  # with other ones than those of whole batches
    told = "note: 4 clips do not fit into the GPU's memory at once; now 2 at a time"
    assert capsys.readouterr().err.splitlines() == [told]
    room = 0
    with pytest.raises(HmuError, match="one of the clips does not fit"):
        validated(network)


def test_a_validation_that_cannot_be_divided_says_what_helps() -> None:
    network = nn.Linear(2, 1)

    def loss_of(rows: Any, generator: Any) -> Any:
        loss = network(torch.ones(len(rows), 2)).mean()
        return loss, {"loss": loss}

    def validate() -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(
        HmuError, match=r"validation of a training does not fit .* lower this component's `batch`"
    ):
        fit(
            network, loss_of, np.zeros(4), schedule=Schedule(1, 2, 0.1), seed=1, device=CPU, validate=validate
        )
