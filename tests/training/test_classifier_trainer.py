"""Reconstructions that the classifier trains on."""

import numpy as np
import pytest
import torch

from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.training import classifier as violence

CONFIG = TokenizerConfig(
    features=12, width=16, code_width=8, codes=16, quantizers=3, depth=2, positions_start=2, positions_stop=8
)


def test_rebuilt_clips_are_those_of_the_tokenizer_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(violence, "CHUNK", 3)
    tokenizer = Tokenizer(RVQVAE(CONFIG, seed=1).eval(), torch.full((12,), 3.0), torch.full((12,), 2.0))
    rng = np.random.default_rng(0)
    clips = [rng.normal(3, 2, (frames, 12)).astype(np.float32) for frames in (24, 8, 16, 8, 40, 16, 12)]
    expected = tokenizer.decode(tokenizer.encode(clips))
    found = violence.rebuilt_clips(tokenizer, tokenizer.encode(clips))
    assert {motion.dtype for motion in found} == {np.dtype(np.float16)}
    assert [motion.shape for motion in found] == [clip.shape for clip in clips]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)
