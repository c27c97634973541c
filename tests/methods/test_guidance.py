"""Negative guidance: the mix of logits on both models, and weights that stay as they are."""

import pytest
import torch
from test_uce import texts
from tiny_networks import enlarged

from hmu_tasks.methods import guidance
from hmu_tasks.methods.shared.closed_form import Texts
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.bamm_decoding import generate
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.sampling import Negative, conditions, mixed

__all__ = ["texts"]

SIZES = {
    "codes": 8,
    "code_width": 4,
    "text_width": 6,
    "latent": 16,
    "layers": 1,
    "heads": 2,
    "feedforward": 16,
}


def test_the_mean_forget_text_is_steered_away_from(texts: Texts) -> None:
    found = guidance.negative(texts.forget[:, None], strength=0.3)
    assert found.weight == 0.3
    assert torch.equal(found.text, texts.forget.mean(dim=0)[None])


def test_the_words_steered_away_from_are_those_of_one_text() -> None:
    forget = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    forget[3, 0] = forget[:, 0].mean(dim=0)  # the mean of all, nearly
    found = guidance.negative(forget, strength=0.3)
    assert torch.equal(found.text[1:], forget[3, 1:])
    assert torch.equal(found.text[0], forget[:, 0].mean(dim=0))


def test_texts_of_other_lengths_are_mixed() -> None:
    """A negative text with more or fewer words than the prompt: the shorter one has words that are not there."""
    text = torch.ones(2, 3, 6)
    for rows in (1, 3, 5):
        prompt, nothing, away = conditions(text, 4.0, Negative(torch.ones(rows, 6), 0.5))
        assert prompt.shape == nothing.shape == away.shape == (2, max(rows, 3), 6)
        assert not nothing.any()
        assert prompt.any(-1)[0].tolist() == [place < 3 for place in range(max(rows, 3))]
        assert away.any(-1)[0].tolist() == [place < rows for place in range(max(rows, 3))]


def test_the_mix_of_logits() -> None:
    negative = Negative(torch.ones(6), 0.5)
    text = torch.zeros(2, 6)
    assert [len(conditions(text, scale)) for scale in (None, 1.0, 0.0, 4.0)] == [1, 1, 1, 2]
    assert [len(conditions(text, scale, negative)) for scale in (None, 1.0, 0.0, 4.0)] == [3, 3, 1, 3]
    c, u, n = (torch.tensor([value]) for value in (3.0, 1.0, 5.0))
    assert mixed([c, u], 4.0).item() == 9.0
    assert mixed([c, u, n], 4.0, negative).item() == 9.0 - 4.0 * 0.5 * 4.0
    assert mixed([c, u, n], None, negative).item() == 3.0 - 0.5 * 4.0


@pytest.mark.parametrize("kind", ["momask", "residual", "bamm"])
def test_transformers_steer(kind: str) -> None:
    """A weight of 0 changes nothing; steering away from the prompt itself with weight 1 leaves no text."""
    text = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))[:1].repeat(3, 1)
    lengths = torch.tensor([5, 4, 2])
    ids = torch.randint(8, (3, 5, 2), generator=torch.Generator().manual_seed(1))
    if kind == "residual":
        third = ResidualTransformer(ResidualTransformerConfig(**SIZES, quantizers=2)).eval()
        network, score = third, lambda scale: third.logits(ids, 1, text, lengths, scale)
    elif kind == "momask":
        first = MaskTransformer(MaskTransformerConfig(**SIZES)).eval()
        network, score = first, lambda scale: first.logits(ids[..., 0], text, lengths, scale)
    else:
        second = BammTransformer(BammConfig(**SIZES)).eval()
        network, score = second, lambda scale: second.logits(ids[..., 0], text, cfg_scale=scale)
    enlarged(network)
    with torch.no_grad():
        plain, nothing = score(4.0), score(0.0)
        network.negative = Negative(text[0], 0.0)
        torch.testing.assert_close(score(4.0), plain, atol=1e-4, rtol=1e-4)
        network.negative = Negative(text[0], 1.0)
        torch.testing.assert_close(score(4.0), nothing, atol=1e-4, rtol=1e-4)
        network.negative = Negative(-text[0], 0.5)
        assert not torch.allclose(score(4.0), plain, atol=1e-2)


def test_cached_decoding_steers_as_well() -> None:
    network = enlarged(BammTransformer(BammConfig(**SIZES)))
    network.negative = Negative(torch.ones(6), 0.5)
    text = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    sampled = [
        generate(
            network, text, torch.tensor([9, 6, 4, 2]), generator=torch.Generator().manual_seed(3), cached=c
        )
        for c in (True, False)
    ]
    assert torch.equal(*sampled)


@pytest.mark.parametrize("scale", [None, 0.0, 4.0])
def test_guidance_is_mixed_in_single_precision(scale: float | None) -> None:
    rows = torch.randn(3, 5, 9, generator=torch.Generator().manual_seed(0)).bfloat16()
    away = Negative(torch.zeros(6), 0.5)
    for given, negative in ((list(rows), away), (list(rows[:2]), None), ([rows[0]], None)):
        found = mixed(given, scale, negative)
        assert found.dtype == torch.float32
        assert torch.equal(found, mixed([one.float() for one in given], scale, negative))
    assert mixed([rows[0].double()], None).dtype == torch.float64
