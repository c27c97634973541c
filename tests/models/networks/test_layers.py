import pytest
import torch
from torch import nn

from hmu_tasks.models.networks.layers import Dropout, Encoder, attend_mask, drop_rows, inside_mask, seeded


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    drop = Dropout(0.2)
    with seeded(0):
        out = drop(torch.ones(100_003))
    assert (out == 0).float().mean().item() == pytest.approx(51 / 256, abs=0.005)
    assert out.mean().item() == pytest.approx(1.0, abs=0.01)
    assert out.max().item() == pytest.approx(256 / 205)
    drop.eval()
    assert torch.equal(drop(torch.ones(5)), torch.ones(5))


def test_dropped_values_receive_no_gradient() -> None:
    x = torch.ones(1000, requires_grad=True)
    with seeded(0):
        out = Dropout(0.5)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())


def test_borrowed_random_state_is_given_back() -> None:
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(1)
    with seeded(generator):
        first = torch.rand(3)
    with seeded(generator):
        second = torch.rand(3)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(first, second)
    with seeded(torch.Generator().manual_seed(1)):
        assert torch.equal(first, torch.rand(3))


def test_the_encoder_equals_that_of_torch() -> None:
    with seeded(0):
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.3, activation="gelu", batch_first=True)
        reference = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
        own = Encoder(2, 16, 4, 32, 0.3).eval()
    own.load_state_dict(reference.state_dict())
    x = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(2))
    inside = inside_mask(torch.tensor([7, 4, 1]), 7)
    with torch.no_grad():
        expected = reference(x, src_key_padding_mask=~inside)[inside]
        torch.testing.assert_close(own(x, attend_mask(inside))[inside], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(own(x, None), reference(x), atol=1e-5, rtol=1e-5)


def test_masks() -> None:
    inside = inside_mask(torch.tensor([2, 3]), 3)
    assert inside.tolist() == [[True, True, False], [True, True, True]]
    text = inside_mask(torch.tensor([1, 1]), 1)
    attend = attend_mask(text, inside)
    assert attend is not None
    assert attend[:, 0, 0].tolist() == [[True, True, True, False], [True] * 4]
    assert attend_mask(text[1:], inside[1:]) is None
    assert attend_mask(~text[1:], inside[1:]) is not None


def test_text_rows_are_dropped_as_a_whole() -> None:
    text = torch.ones(2000, 3)
    kept = drop_rows(text, 0.1, torch.Generator().manual_seed(0))
    assert bool((kept == kept[:, :1]).all())
    words = drop_rows(torch.ones(2000, 4, 3), 0.1, torch.Generator().manual_seed(0))
    assert torch.equal(words, kept[:, None].expand(-1, 4, -1))
    assert (kept[:, 0] == 0).float().mean().item() == pytest.approx(0.1, abs=0.02)
