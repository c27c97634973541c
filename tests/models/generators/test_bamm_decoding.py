"""BAMM's decoding: remembered rows, batches, predicted lengths, and what stays in the second pass."""

from typing import Any

import pytest
import torch
from tiny_networks import SIZES, enlarged, generator
from torch import Tensor

from hmu_tasks.models.generators import bamm_decoding
from hmu_tasks.models.generators.bamm_attention import CachedReader, FullReader
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.bamm_decoding import generate
from hmu_tasks.models.networks.layers import inside_mask

SMALL = BammConfig(**{**SIZES, "layers": 3})
LENGTHS = torch.tensor([12, 7, 3, 1, 9])


def small(seed: int = 0) -> BammTransformer:
    """A small network with larger weights than at the start of training, so that inputs matter."""
    return enlarged(BammTransformer(SMALL, seed=seed))


def texts(rows: int = 5) -> Tensor:
    return torch.randn(rows, 6, generator=generator(2))


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_remembered_rows_equal_a_full_reading(share: float) -> None:
    network = small()
    ids = torch.randint(20, (5, 13), generator=generator(1))
    known = torch.rand(5, 13, generator=generator(3)) < share
    sequence, readable = network.sequence(ids, texts())
    full = FullReader(network.seqTransEncoder, known, readable)
    # A cached reader may attend to known tokens from the start, to others only once they are sampled.
    hidden = torch.where(torch.nn.functional.pad(known, (1, 0), value=True)[..., None], sequence, 7.0)
    cached = CachedReader(network.seqTransEncoder, known, readable, hidden)
    with torch.no_grad():
        for place in range(14):
            hidden[:, place] = sequence[:, place]
            expected = full.row(sequence, place)
            torch.testing.assert_close(cached.row(hidden, place), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "knobs", [{}, {"temperature": 0.0}, {"top_k": 0.7, "cfg_scale": 1.0, "second_cfg_scale": 1.0}]
)
@pytest.mark.parametrize("given", [True, False])
def test_cached_decoding_gives_the_same_codes(knobs: dict[str, Any], given: bool) -> None:
    fast, slow = (
        generate(
            small(),
            texts(),
            LENGTHS if given else None,
            generator=generator(4),
            most=15,
            cached=cached,
            **knobs,
        )
        for cached in (True, False)
    )
    assert torch.equal(fast, slow)


@pytest.mark.parametrize("published", [False, True])
def test_rows_of_a_batch_equal_rows_alone(published: bool) -> None:
    network = small()
    together = generate(network, texts(), LENGTHS, generator=generator(4), published=published)
    stream = generator(4)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = generate(
            network, texts()[row : row + 1], LENGTHS[row : row + 1], generator=stream, published=published
        )
        assert torch.equal(together[row, :length], alone[0])
        assert bool((together[row, length:] == -1).all())


def test_given_lengths_are_kept_and_codes_are_codes() -> None:
    ids = generate(small(), texts(), LENGTHS, generator=generator(4))
    inside = inside_mask(LENGTHS, 12)
    assert torch.equal(ids >= 0, inside)
    assert int(ids.max()) < 20
    assert torch.equal(ids, generate(small(), texts(), LENGTHS, generator=generator(4)))
    assert not torch.equal(ids, generate(small(), texts(), LENGTHS, generator=generator(5)))
    with pytest.raises(ValueError, match="at least 1"):
        generate(small(), texts(2), torch.tensor([3, 0]), generator=generator())


def test_predicted_lengths_end_where_the_model_says() -> None:
    network = small()
    ids = generate(network, texts(64), None, generator=generator(4), most=15)
    found = (ids >= 0).sum(dim=1)
    assert 1 <= int(found.min()) < int(found.max()) <= 15
    assert torch.equal(ids >= 0, inside_mask(found, ids.shape[1]))
    with torch.no_grad():
        network.output_process.poseFinal.bias[network.end_id] = 1e4
        assert generate(network, texts(3), None, generator=generator(4)).shape == (3, 1)
        network.output_process.poseFinal.bias[network.end_id] = -1e4
        assert generate(network, texts(3), None, generator=generator(4), most=9).shape == (3, 9)


def test_the_second_pass_keeps_the_more_certain_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12 tokens the 6 least confident ones are resampled, and the others are those of the first pass."""
    passes: list[tuple[Tensor, Tensor, Tensor]] = []
    plain = bamm_decoding._draw

    def watched(network: Any, ids: Tensor, text: Tensor, known: Tensor, how: Any) -> tuple[Tensor, Tensor]:
        found = plain(network, ids, text, known, how)
        passes.append((found[0], found[1], known))
        return found

    monkeypatch.setattr(bamm_decoding, "_draw", watched)
    lengths = torch.tensor([12, 12, 5])
    ids = generate(small(), texts(3), lengths, generator=generator(4))
    (first, certainty, _), (_, _, known) = passes
    assert known[:, :12].sum(dim=1).tolist() == [6, 6, 4]  # of 5 tokens 2 go, and the end stays
    assert bool(known.gather(1, lengths[:, None]).all())
    for row, length in enumerate(lengths.tolist()):
        kept = known[row, :length]
        assert torch.equal(ids[row, :length][kept], first[row, :length][kept])
        assert certainty[row, :length][kept].min() >= certainty[row, :length][~kept].max()


def test_generation_switches_dropout_off_and_back_on() -> None:
    network = small().train()
    ids = generate(network, texts(), LENGTHS, generator=generator(3))
    assert network.training
    assert torch.equal(ids, generate(small(), texts(), LENGTHS, generator=generator(3)))
