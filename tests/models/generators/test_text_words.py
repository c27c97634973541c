"""Words as tokens before the codes: what is not there has no influence, and no text is zeros."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_networks import SIZES, enlarged, generator
from torch import Tensor

from hmu_tasks.models.generators.bamm_attention import CachedReader, FullReader
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.bamm_decoding import generate
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.sampling import Negative
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.text.embeddings import padded, trimmed

KINDS: dict[str, tuple[Any, Any]] = {
    "masked": (MaskTransformer, MaskTransformerConfig),
    "bamm": (BammTransformer, BammConfig),
    "residual": (ResidualTransformer, ResidualTransformerConfig),
}
LENGTHS = torch.tensor([12, 7, 3, 1, 9])
Logits = Callable[[Tensor, float | None], Tensor]
every_kind = pytest.mark.parametrize("kind", KINDS)


def network(kind: str, *, words: int = 8) -> Any:
    """A small network in float64, with larger weights than at the start of training, so that inputs matter."""
    built, config = KINDS[kind]
    return enlarged(built(config(**SIZES, words=words), seed=1).double())


def texts(words: tuple[int, ...] = (4, 0, 7, 2, 1)) -> Tensor:
    """Embedded texts of different length."""
    return padded([torch.randn(1 + n, 6, generator=generator(10 + n), dtype=torch.float64) for n in words])


def logits_of(kind: str, model: Any) -> Logits:
    ids = torch.randint(20, (5, 12, 6), generator=generator(3))

    def logits(text: Tensor, scale: float | None) -> Tensor:
        rows = ids[: len(text)]
        with torch.no_grad():
            if kind == "masked":
                found = model.logits(rows[..., 0], text, LENGTHS[: len(text)], scale)
            elif kind == "bamm":
                found = model.logits(rows[..., 0], text, cfg_scale=scale)
            else:
                found = model.logits(rows, 2, text, LENGTHS[: len(text)], scale)
        return found  # type: ignore[no-any-return]

    return logits


def sampled(kind: str, model: Any, text: Tensor) -> Tensor:
    if kind == "residual":
        ids = torch.randint(20, (5, 12), generator=generator(3))
        found = model.generate(ids[: len(text)], text, LENGTHS[: len(text)], generator=generator(4))
    else:
        found = model.sample(text, LENGTHS[: len(text)], sampling=Sampling(steps=4), generator=generator(4))
    return found  # type: ignore[no-any-return]


@every_kind
@pytest.mark.parametrize("scale", [None, 4.0])
def test_words_that_are_not_there_have_no_influence(kind: str, scale: float | None) -> None:
    """However long the captions beside a prompt are."""
    model = network(kind)
    logits = logits_of(kind, model)
    text = texts()
    together = logits(text, scale)
    longer = torch.cat([text, torch.zeros(5, 20, 6, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(logits(longer, scale), together, rtol=0, atol=1e-10)
    # Without the third text, the longest, and what its length adds to the others.
    torch.testing.assert_close(logits(trimmed(text[:2]), scale), together[:2], rtol=0, atol=1e-10)
    assert trimmed(text[:2]).shape == (2, 5, 6)
    assert torch.equal(sampled(kind, model, longer), sampled(kind, model, text))
    assert torch.equal(sampled(kind, model, trimmed(text[:2]))[:, :7], sampled(kind, model, text)[:2, :7])


@every_kind
def test_no_text_is_all_zeros(kind: str) -> None:
    logits = logits_of(kind, network(kind))
    nothing = torch.zeros(5, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(logits(texts(), 0.0), logits(nothing, None), rtol=0, atol=1e-10)
    torch.testing.assert_close(logits(nothing[:, 0], None), logits(nothing, None), rtol=0, atol=1e-10)


@every_kind
def test_words_and_their_order_matter(kind: str) -> None:
    logits = logits_of(kind, network(kind))
    text = texts((4,) * 5)
    text[1:] = text[:1]
    turned = torch.cat([text[:, :1], text[:, 1:].flip(1)], dim=1)
    for other in (turned, text[:, :4], text[:, :1]):
        assert not torch.allclose(logits(text, None), logits(other, None), atol=1e-3)


@every_kind
def test_a_network_without_words_has_the_published_tensors(kind: str) -> None:
    """And with words one more projection."""
    built, config = KINDS[kind]
    plain, reading = (built(config(**SIZES, words=words), seed=1) for words in (0, 8))
    assert plain.word_emb is None
    assert set(reading.state_dict()) - set(plain.state_dict()) == {"word_emb.weight", "word_emb.bias"}


@every_kind
def test_a_negative_text_has_words(kind: str) -> None:
    """Steering away from the prompt itself with weight 1 leaves no text, with weight 0 the prompt."""
    model = network(kind)
    logits = logits_of(kind, model)
    text = texts((4,) * 5)
    text[1:] = text[:1]
    plain, nothing = logits(text, 3.0), logits(text, 0.0)
    model.negative = Negative(text[0], 0.0)
    torch.testing.assert_close(logits(text, 3.0), plain, rtol=0, atol=1e-9)
    model.negative = Negative(text[0], 1.0)
    torch.testing.assert_close(logits(text, 3.0), nothing, rtol=0, atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_bamm_with_a_cache_equals_a_full_reading(share: float) -> None:
    model = network("bamm")
    ids = torch.randint(20, (5, 13), generator=generator(1))
    known = torch.rand(5, 13, generator=generator(3)) < share
    with torch.no_grad():
        sequence, readable = model.sequence(ids, texts())
        full = FullReader(model.seqTransEncoder, known, readable)
        # A cached reader may look at the text and known tokens from the start, at others when their turn has come.
        seen = torch.cat([torch.ones_like(readable), known], dim=1)
        hidden = torch.where(seen[..., None], sequence, 7.0)
        cached = CachedReader(model.seqTransEncoder, known, readable, hidden)
        for place in range(readable.shape[1] - 1, sequence.shape[1]):
            hidden[:, place] = sequence[:, place]
            torch.testing.assert_close(
                cached.row(hidden, place), full.row(sequence, place), rtol=0, atol=1e-10
            )
    fast, slow = (
        generate(model, texts(), LENGTHS, generator=generator(4), cached=one) for one in (True, False)
    )
    assert torch.equal(fast, slow)
