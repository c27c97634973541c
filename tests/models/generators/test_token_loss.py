"""Losses clip by clip: the same samples, weighed as the training losses weigh them, give the training losses."""

import math

import pytest
import torch
from torch import Tensor

from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.token_loss import Predicted, clip_losses

SIZES = {
    "codes": 12,
    "code_width": 8,
    "latent": 16,
    "layers": 1,
    "heads": 2,
    "feedforward": 16,
    "text_width": 8,
    "dropout": 0.1,
}
NETWORKS = {
    "momask": lambda: MaskTransformer(MaskTransformerConfig(**SIZES)),
    "bamm": lambda: BammTransformer(BammConfig(**SIZES)),
    "residual": lambda: ResidualTransformer(ResidualTransformerConfig(**SIZES, quantizers=3)),
}


def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(12, (5, 9, 3), generator=generator)
    return codes, torch.randn(5, 8, generator=generator), torch.tensor([9, 4, 1, 7, 9])


@pytest.mark.parametrize("name", NETWORKS)
def test_clips_make_up_the_training_loss(name: str) -> None:
    network = NETWORKS[name]().train()
    loss = network.training_loss(*batch(), torch.Generator().manual_seed(2)).loss
    found = network.predicted(*batch(), torch.Generator().manual_seed(2))
    clips = torch.cat([part.clip for part in found])
    tokens = torch.bincount(clips, minlength=5)
    assert bool((tokens > 0).all())
    weights = torch.full((5,), 0.2) if name == "bamm" else tokens / tokens.sum()
    torch.testing.assert_close((clip_losses(found, 5) * weights).sum(), loss)


def test_a_clip_without_tokens_has_no_loss() -> None:
    part = Predicted(torch.zeros(2, 4), torch.tensor([0, 1]), torch.tensor([2, 2]))
    torch.testing.assert_close(clip_losses([part], 3), torch.tensor([0.0, 0.0, math.log(4.0)]))
