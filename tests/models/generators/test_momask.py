"""Tokenizer and model on clips of mixed lengths: batches of equal length change nothing."""

import numpy as np
import pytest
import torch

from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.generators.two_stage import TwoStage
from hmu_tasks.models.networks.lengths import UNIT, equal_length_batches
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer

FRAMES = [40, 47, 44, 40, 64, 43, 44, 196, 40, 65]


def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(3 + 2 * rng.standard_normal((frames, 12))).astype(np.float32) for frames in FRAMES]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    config = TokenizerConfig(
        features=12,
        width=8,
        code_width=4,
        codes=8,
        quantizers=2,
        depth=1,
        positions_start=2,
        positions_stop=8,
    )
    network = RVQVAE(config)
    network.train()
    for step in range(6):
        features = torch.randn(8, 32, 12, generator=torch.Generator().manual_seed(step))
        network.training_loss(features, generator=torch.Generator().manual_seed(step))
    return Tokenizer(network.eval(), torch.full((12,), 3.0), torch.full((12,), 2.0))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> TwoStage:
    sizes = {"codes": 8, "code_width": 4, "text_width": 6, "latent": 16, "layers": 1, "heads": 2}
    base = MaskTransformer(MaskTransformerConfig(**sizes, feedforward=16)).eval()
    residual = ResidualTransformer(ResidualTransformerConfig(**sizes, feedforward=16, quantizers=2)).eval()
    return TwoStage(tokenizer, base, residual)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_encoding_in_batches_equals_clip_by_clip(tokenizer: Tokenizer, batch: int) -> None:
    found = tokenizer.encode(clips(), batch=batch)
    assert [codes.shape for codes in found] == [(frames // UNIT, 2) for frames in FRAMES]
    assert len(np.unique(np.concatenate(found))) > 2
    for clip, codes in zip(clips(), found, strict=True):
        cut = torch.from_numpy(clip[: len(clip) // UNIT * UNIT])
        alone = tokenizer.network.encode(((cut - 3) / 2)[None])[0].numpy()
        np.testing.assert_array_equal(codes, alone)
        assert codes.dtype == np.int64


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_decoding_in_batches_equals_clip_by_clip(tokenizer: Tokenizer, batch: int) -> None:
    codes = tokenizer.encode(clips())
    found = tokenizer.decode(codes, batch=batch)
    for frames, motion, row in zip(FRAMES, found, codes, strict=True):
        assert motion.shape == (frames // UNIT * UNIT, 12)
        assert motion.dtype == np.float32
        with torch.no_grad():
            alone = tokenizer.network.decode(torch.from_numpy(row)[None])[0].numpy() * 2 + 3
        np.testing.assert_allclose(motion, alone, rtol=0, atol=1e-5)


def test_nothing_in_nothing_out(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode([]) == []
    assert tokenizer.decode([]) == []


def test_motions_have_the_lengths_asked_for(model: TwoStage) -> None:
    text = torch.randn(len(FRAMES), 6, generator=torch.Generator().manual_seed(0))
    done: list[tuple[int, int]] = []

    def sample(seed: int) -> list[np.ndarray]:
        return model.generate_codes(
            text,
            FRAMES,
            sampling=Sampling(steps=3, top_k=0.5),
            generator=torch.Generator().manual_seed(seed),
            batch=4,
            progress=lambda *p: done.append(p),
        )

    codes = sample(1)
    assert [c.shape for c in codes] == [(frames // UNIT, 2) for frames in FRAMES]
    assert all(c.dtype == np.int64 and c.min() >= 0 and c.max() < 8 for c in codes)
    assert done == [(4, 10), (8, 10), (10, 10)]
    assert all(np.array_equal(a, b) for a, b in zip(codes, sample(1), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(codes, sample(2), strict=True))
    motions = model.generate(
        text,
        FRAMES,
        sampling=Sampling(steps=3, top_k=0.5),
        generator=torch.Generator().manual_seed(1),
        batch=4,
    )
    for motion, expected in zip(motions, model.tokenizer.decode(codes, batch=4), strict=True):
        np.testing.assert_array_equal(motion, expected)


def test_other_codebooks_make_another_model_and_leave_this_one(model: TwoStage) -> None:
    before = {k: v.clone() for k, v in model.tokenizer.network.state_dict().items()}
    edited = model.with_codebooks(model.codebooks + 1)
    assert torch.equal(edited.codebooks, model.codebooks + 1)
    assert edited.base is model.base
    assert edited.tokenizer.mean is model.tokenizer.mean
    codes = model.tokenizer.encode(clips())
    assert not np.array_equal(edited.tokenizer.decode(codes)[0], model.tokenizer.decode(codes)[0])
    for name, tensor in model.tokenizer.network.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert {level: set(found) for level, found in model.text_projections.items()} == {
        "sentence": {"base", "residual"}
    }


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_equal_length_batches_hold_each_position_once(batch: int) -> None:
    groups = list(equal_length_batches(FRAMES, batch))
    assert sorted(i for group in groups for i in group) == list(range(len(FRAMES)))
    assert all(len({FRAMES[i] for i in group}) == 1 and len(group) <= batch for group in groups)
    assert [FRAMES[group[0]] for group in groups] == sorted(FRAMES[group[0]] for group in groups)
    if batch == 100:
        assert len(groups) == len(set(FRAMES))
    assert list(equal_length_batches([], batch)) == []
