"""What sampling does on a GPU, on a CPU: all positions at once, random numbers by hash, batches that shrink."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_bundles import tiny_bundle
from tiny_networks import SIZES, enlarged, generator
from torch import Tensor

from hmu_tasks.models.generators import bamm_decoding, masked, residual, sampling
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.sampling import hashed_uniforms
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.generators.two_stage import TwoStage
from hmu_tasks.models.networks.memory import Batches, suited
from hmu_tasks.runtime.errors import HmuError

LENGTHS = torch.tensor([5, 1, 12, 8])
HOW: dict[str, Any] = {"cfg_scale": 3.0, "temperature": 1.0, "top_k": 0.5}
FRAMES = [40, 47, 44, 24, 64, 43, 8, 96, 40]


def text() -> Tensor:
    return torch.randn(len(LENGTHS), 1, 6, generator=generator(2))


def split_mix(seed: int, place: int) -> float:
    """The published generator with Python's numbers of any size, cut to 64 bits."""
    mask = 2**64 - 1
    z = (seed + place * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) >> 40) / 2**24


def test_hashed_numbers_are_those_of_splitmix64() -> None:
    seeds = [0, 1, 2**62 - 1, 123456789123456789]
    found = hashed_uniforms(torch.tensor(seeds), 3, 4)
    for step in range(3):
        for row, seed in enumerate(seeds):
            expected = [split_mix(seed, (step << 20) + token + 1) for token in range(4)]
            assert found[step, row].tolist() == expected
    # The first output for seed 1234567 in the generator's reference test vectors is 6457827717110365317.
    assert split_mix(1234567, 1) == (6457827717110365317 >> 40) / 2**24


def test_hashed_numbers_are_uniform_and_independent() -> None:
    seeds = torch.randint(2**62, (400,), generator=generator())
    found = hashed_uniforms(seeds, 10, 49).double()
    assert found.min() >= 0.0
    assert found.max() < 1.0
    counts = torch.histc(found, 20, 0.0, 1.0)
    expected = found.numel() / 20
    assert float(((counts - expected).square() / expected).sum()) < 43.8  # chi-square, 19 degrees, 0.1 %
    for one, other in (
        (found[1:], found[:-1]),
        (found[:, 1:], found[:, :-1]),
        (found[..., 1:], found[..., :-1]),
    ):
        pair = torch.stack([one.flatten(), other.flatten()])
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 4 / one.numel() ** 0.5


def test_a_rows_numbers_depend_on_its_seed_alone() -> None:
    seeds = torch.tensor([5, 6, 7])
    found = hashed_uniforms(seeds, 4, 9)
    assert torch.equal(hashed_uniforms(seeds[1:2], 4, 5), found[:, 1:2, :5])


def test_masked_decoding_of_all_positions_equals_that_of_the_masked_ones() -> None:
    network = enlarged(MaskTransformer(MaskTransformerConfig(**SIZES), seed=1))
    uniforms = hashed_uniforms(torch.tensor([3, 4, 5, 6]), 5, 16)
    found = [
        network.decode(text(), LENGTHS, uniforms, tokens=16, steps=5, whole=whole, **HOW)
        for whole in (True, False)
    ]
    assert torch.equal(*found)
    assert [int((row >= 0).sum()) for row in found[0]] == LENGTHS.tolist()
    assert len(found[0].unique()) > 5


def test_residual_decoding_of_all_positions_equals_that_of_the_motions() -> None:
    network = enlarged(ResidualTransformer(ResidualTransformerConfig(**SIZES, quantizers=4), seed=1))
    inside = torch.arange(16)[None] < LENGTHS[:, None]
    first = torch.where(inside, torch.randint(20, (4, 16), generator=generator()), -1)
    uniforms = hashed_uniforms(torch.tensor([3, 4, 5, 6]), 3, 16)
    found = [
        network.refine(first, text(), LENGTHS, uniforms, total=4, whole=whole, **HOW)
        for whole in (True, False)
    ]
    assert torch.equal(*found)
    assert ((found[0] >= 0) == inside[..., None]).all()


@torch.no_grad()
def test_sampling_never_looks_at_a_value() -> None:
    """On the meta device there are shapes only: waiting for a value, or a shape that follows from one, is an error."""
    rows, lengths = torch.empty(4, 1, 6, device="meta"), torch.empty(4, dtype=torch.int64, device="meta")
    uniforms = torch.empty(5, 4, 16, device="meta")
    base = MaskTransformer(MaskTransformerConfig(**SIZES)).eval().to("meta")
    assert base.decode(rows, lengths, uniforms, tokens=16, steps=5, whole=True, **HOW).shape == (4, 16)
    further = ResidualTransformer(ResidualTransformerConfig(**SIZES, quantizers=4)).eval().to("meta")
    first = torch.empty(4, 16, dtype=torch.int64, device="meta")
    assert further.refine(first, rows, lengths, uniforms[:3], total=4, whole=True, **HOW).shape == (4, 16, 4)
    bamm = BammTransformer(BammConfig(**SIZES)).eval().to("meta")
    how = {"cfg_scales": (4.0, 3.0), "temperature": 1.0, "top_k": 0.0, "noise": None, "published": False}
    for predicts in (True, False):
        found = bamm_decoding._cascade(
            bamm, rows, lengths, uniforms[:2], predicts=predicts, tokens=16, cached=True, **how
        )
        assert found.shape == (4, 16)
    with pytest.raises((RuntimeError, NotImplementedError)):
        base.decode(rows, lengths, uniforms, tokens=16, steps=5, whole=False, **HOW)


@torch.no_grad()
def test_bamm_decodes_the_same_in_a_wider_batch() -> None:
    network = enlarged(BammTransformer(BammConfig(**SIZES), seed=1))
    how = {"cfg_scales": (2.0, 1.5), "temperature": 1.0, "top_k": 0.5, "noise": None, "published": False}
    seeds = torch.tensor([3, 4, 5, 6])
    narrow, wide = (
        bamm_decoding._cascade(
            network,
            text(),
            LENGTHS,
            hashed_uniforms(seeds, 2, tokens),
            predicts=False,
            tokens=tokens,
            cached=True,
            **how,
        )
        for tokens in (12, 16)
    )
    assert torch.equal(wide[:, :12], narrow)
    assert (wide[:, 12:] == -1).all()


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random numbers by hash."""

    def hashed(count: int, lengths: Tensor, tokens: int, generator: torch.Generator) -> Tensor:
        return hashed_uniforms(torch.randint(2**62, (len(lengths),), generator=generator), count, tokens)

    for module in (masked, residual, bamm_decoding, sampling):
        monkeypatch.setattr(module, "row_uniforms", hashed)


def codes_of(bundle: Bundle, prompts: list[int], *, batch: int) -> list[np.ndarray]:
    """Codes of some of the prompts."""
    every = torch.randn(len(FRAMES), 1, 6, generator=generator(4))
    return bundle.model.generate_codes(
        every[prompts],
        [FRAMES[i] for i in prompts],
        sampling=Sampling(steps=4, top_k=0.5),
        generator=generator(7),
        batch=batch,
    )


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("model", ["momask", "bamm"])
def test_codes_do_not_depend_on_batch_or_neighbours(model: str) -> None:
    bundle = tiny_bundle(model)
    every = list(range(len(FRAMES)))
    expected = codes_of(bundle, every, batch=64)
    for batch in (1, 2, 5):
        found = codes_of(bundle, every, batch=batch)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    # The shortest ones sample first and hence see the same seeds, whoever else is asked for.
    shortest = [6, 3]
    alone = codes_of(bundle, shortest, batch=64)
    assert all(np.array_equal(a, expected[i]) for a, i in zip(alone, shortest, strict=True))


class Small(TwoStage):
    """A model on a GPU that holds three prompts, and that runs out of memory after it has taken random numbers."""

    def sample(
        self,
        text: Tensor,
        lengths: Tensor | None,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        found = super().sample(text, lengths, sampling=sampling, streams=streams)
        if len(text) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found


@pytest.mark.parametrize("model", ["momask", "bamm"])
def test_a_batch_that_does_not_fit_is_halved_and_changes_no_code(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(model)
    every = list(range(len(FRAMES)))
    expected = codes_of(bundle, every, batch=64)
    assert isinstance(bundle.model, TwoStage)
    small = replace(
        bundle, model=Small(bundle.model.tokenizer, base=bundle.model.base, residual=bundle.model.residual)
    )
    capsys.readouterr()
    found = codes_of(small, every, batch=64)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert capsys.readouterr().err.splitlines() == [
        "note: 9 prompts do not fit into the GPU's memory at once; now 4 at a time",
        "note: 4 prompts do not fit into the GPU's memory at once; now 2 at a time",
    ]


def test_what_does_not_fit_at_all_is_an_error_with_a_remedy() -> None:
    def work(rows: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(HmuError, match=r"one of the clips does not fit .* set run.device to cpu"):
        list(Batches(4, what="clips").over([0, 1, 2, 3, 4], work))


def test_a_cpu_is_spared_a_gpus_batches() -> None:
    assert suited(2048, torch.device("cpu")) == 128
    assert suited(64, torch.device("cpu")) == 64
    assert suited(2048, torch.device("cuda")) == 2048


def test_other_errors_are_not_taken_for_missing_memory() -> None:
    def work(rows: object) -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        list(Batches(4, what="clips").over([0, 1], work))
