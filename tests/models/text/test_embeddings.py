"""Embedded texts: padding, and the cache, in which a hit has the bytes of a miss, and a damaged file is recomputed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hmu_tasks.models.text.embeddings import (
    alike,
    embed_texts,
    padded,
    present,
    rows_of,
    stacked,
    trimmed,
)
from hmu_tasks.models.text.encoders import SmallTextConfig, SmallTextEncoder

TEXTS = ["a man kicks", "", "he walks", "a man kicks", "🤸"]


class Counted:
    """The small encoder, with the sets of texts that it was asked for."""

    def __init__(self) -> None:
        self.encoder = SmallTextEncoder(SmallTextConfig(width=16, words=2, word_width=8, buckets=128)).eval()
        self.width, self.words = 16, 2
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        self.asked.append(list(texts))
        return self.encoder.encode(texts)


def as_bytes(vectors: dict[str, Tensor]) -> dict[str, bytes]:
    return {text: vector.numpy().tobytes() for text, vector in vectors.items()}


def test_a_hit_equals_a_miss_and_asks_nothing(tmp_path: Path) -> None:
    encoder = Counted()
    miss = embed_texts(encoder, TEXTS, cache=tmp_path, digest="d")
    hit = embed_texts(encoder, TEXTS[::-1], cache=tmp_path, digest="d")
    assert as_bytes(miss) == as_bytes(hit) == as_bytes(embed_texts(encoder, TEXTS))
    assert encoder.asked == [sorted(set(TEXTS))] * 2  # the miss and the call without a cache
    assert len(list(tmp_path.iterdir())) == 1
    assert torch.equal(stacked(hit, TEXTS)[3], hit["a man kicks"])
    assert stacked(hit, TEXTS).shape == (5, 3, 16)


def test_texts_of_different_length_share_a_tensor() -> None:
    rows = [torch.ones(3, 4), torch.ones(1, 4), torch.ones(2, 4)]
    text = padded(rows)
    assert present(text).tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    assert torch.equal(trimmed(text), text)
    assert trimmed(text[1:]).shape == (2, 2, 4)
    assert trimmed(torch.zeros(2, 3, 4)).shape == (2, 1, 4)
    assert rows_of(torch.ones(2, 4)).shape == (2, 1, 4)
    short, long = alike(torch.ones(2, 1, 4), text)
    assert short.shape == (2, 3, 4)
    assert present(short).sum() == 2
    assert torch.equal(long, text)


def test_another_encoder_or_another_set_is_another_file(tmp_path: Path) -> None:
    encoder = Counted()
    embed_texts(encoder, TEXTS, cache=tmp_path, digest="d")
    embed_texts(encoder, TEXTS, cache=tmp_path, digest="e")
    embed_texts(encoder, TEXTS[:2], cache=tmp_path, digest="d")
    assert len(encoder.asked) == 3
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    encoder = Counted()
    expected = as_bytes(embed_texts(encoder, TEXTS, cache=tmp_path, digest="d"))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-7] if damage is None else damage)
    assert as_bytes(embed_texts(encoder, TEXTS, cache=tmp_path, digest="d")) == expected
    assert file.read_bytes() == whole
    assert len(encoder.asked) == 2
