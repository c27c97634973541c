"""Recorded steps and recorded sampling on a GPU: what plain ones do, without waiting, continued after a kill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_bundles import tiny_bundle
from tiny_networks import SIZES, generator

from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.t2mgpt_base import T2mGptConfig, T2mGptTransformer
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks import recording
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.acceleration import DETERMINISTIC, GRAPHS
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import Schedule, Trained, fit
from hmu_tasks.training.loop.recorded import StepRecorder
from hmu_tasks.training.loop.transformers import fixed_code_loss
from hmu_tasks.training.tokenizer import train_tokenizer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GPU = torch.device("cuda")
SCHEDULE = Schedule(steps=60, batch=8, rate=1e-3, warmup=5, evaluate_every=10)
TOKENIZER = TokenizerConfig(
    features=12, width=16, code_width=8, codes=16, quantizers=3, depth=1, positions_stop=8
)


class KilledError(Exception):
    """A run that was killed."""


def code_set() -> CodeSet:
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 20, size=(tokens, 4)) for tokens in rng.integers(3, 30, 64)]
    return CodeSet(codes, [[str(i)] for i in range(64)], {str(i): torch.randn(1, 6) for i in range(64)})


NETWORKS: dict[str, Callable[[], CodeNetwork]] = {
    "momask": lambda: MaskTransformer(MaskTransformerConfig(**SIZES), seed=1),
    "bamm": lambda: BammTransformer(BammConfig(**SIZES), seed=1),
    "t2mgpt": lambda: T2mGptTransformer(T2mGptConfig(**SIZES), seed=1),
    "residual": lambda: ResidualTransformer(ResidualTransformerConfig(**SIZES, quantizers=4), seed=1),
}


def trained(
    known: CodeSet, name: str = "momask", *, die_at: int | None = None, **options: Any
) -> tuple[Trained, torch.nn.Module]:
    network = NETWORKS[name]().to(GPU)

    def progress(done: int, total: int) -> None:
        if done == die_at:
            raise KilledError

    found = fit(
        network,
        fixed_code_loss(network, known, GPU),
        known.tokens,
        schedule=SCHEDULE,
        seed=3,
        device=GPU,
        progress=progress,
        **options,
    )
    return found, network


def losses(found: Trained, name: str = "loss") -> list[float]:
    return [value for _, key, value in found.history.rows if key == name]


@pytest.mark.parametrize("name", NETWORKS)
def test_recorded_steps_are_plain_ones(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorders: list[StepRecorder] = []
    made = StepRecorder.__init__

    def kept(self: StepRecorder, *given: Any) -> None:
        made(self, *given)
        recorders.append(self)

    monkeypatch.setattr(StepRecorder, "__init__", kept)
    known = code_set()
    recorded, _ = trained(known, name)
    assert not recorders[-1].broken
    assert len(recorders[-1].recordings) >= 2
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(GRAPHS, "off")
    plain, _ = trained(known, name)
    assert losses(recorded) == pytest.approx(losses(plain), rel=2e-2)


def test_a_recorded_tokenizer_learns_as_a_plain_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(frames, 12)).astype(np.float32) for frames in rng.integers(40, 90, 32)]
    clips = ClipSet([str(i) for i in range(32)], features, [[CaptionWords("", [])]] * 32)
    curves = []
    for graphs in ("checked", "off"):
        monkeypatch.setenv(GRAPHS, graphs)
        found = train_tokenizer(
            RVQVAE(TOKENIZER, seed=1).to(GPU),
            clips,
            clips,
            mean=torch.zeros(12),
            std=torch.ones(12),
            window=32,
            schedule=SCHEDULE,
            seed=2,
            device=GPU,
            checkpoint=None,
            progress=None,
        )
        curves.append(losses(found))
    assert capsys.readouterr().err == ""
    assert curves[0] == pytest.approx(curves[1], rel=5e-2)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature:UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_never_waits_for_the_device(name: str) -> None:
    network = NETWORKS[name]().to(GPU).train()
    known = code_set()
    loss_of = fixed_code_loss(network, known, GPU)
    inputs = loss_of.prepare(np.arange(8), generator())
    own = torch.cuda.default_generators[torch.cuda.current_device()]
    loss_of.compute(inputs, own)[0].backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss_of.compute(inputs, own)[0].backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("stop_at", [7, 31])
def test_a_killed_training_ends_with_the_same_bytes_under_determinism(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    monkeypatch.setenv(DETERMINISTIC, "1")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    known = code_set()
    expected, whole = trained(known, name)
    options = {"checkpoint": tmp_path / "c.pt", "checkpoint_due": lambda step: step % 3 == 0}
    with pytest.raises(KilledError):
        trained(known, name, die_at=stop_at, **options)
    found, resumed = trained(known, name, **options)
    assert found == expected
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("model", ["momask", "bamm"])
def test_recorded_sampling_is_plain_sampling_and_independent_of_the_batch(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(model)
    whole = bundle.model
    tokenizer = type(whole.tokenizer)(
        whole.tokenizer.network.to(GPU), whole.tokenizer.mean.to(GPU), whole.tokenizer.std.to(GPU)
    )
    whole = whole.with_parts(
        tokenizer=tokenizer, **{name: network.to(GPU) for name, network in whole.networks.items()}
    )
    text = torch.randn(12, 1, 6, generator=generator(4)).to(GPU)

    def codes(batch: int) -> list[np.ndarray]:
        return whole.generate_codes(
            text,
            [40] * 12,
            sampling=Sampling(steps=4, top_k=0.5),
            generator=torch.Generator(GPU).manual_seed(7),
            batch=batch,
        )

    recorded = [codes(4) for _ in range(3)][-1]
    assert any(
        found is not None for known in recording._KNOWN.values() for found in known.recordings.values()
    )
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(GRAPHS, "off")
    for batch in (1, 4, 12):
        same = [(a == b).mean() for a, b in zip(codes(batch), recorded, strict=True)]
        assert np.mean(same) > 0.95  # bfloat16: a sum of another order may move a sample


def test_no_more_memory_is_an_ordinary_error() -> None:
    """torch raises what `Batches` waits for."""
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(2**50, dtype=torch.uint8, device=GPU)
