"""Codes of all clips, encoded once per tokenizer and set of clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from hmu_tasks.data.clips import packed
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer, load_tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import clip_set
from hmu_tasks.training.loop.coded import coded_clips


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many clips each call of the encoder was given."""
    calls: list[int] = []
    encode = Tokenizer.encode

    def counted(self: Tokenizer, clips: Sequence[np.ndarray], *, batch: int = 64) -> list[np.ndarray]:
        calls.append(len(clips))
        return encode(self, clips, batch=batch)

    monkeypatch.setattr(Tokenizer, "encode", counted)
    return calls


def test_codes_are_the_tokenizers_and_made_once(world: Path, tmp_path: Path, encoded: list[int]) -> None:
    clips = packed.load(paths.CLIPS)
    tokenizer = load_tokenizer(paths.component("tokenizer", "full"), torch.device("cpu"))
    ids = [*clips.ids("train"), *clips.ids("val")]
    expected = tokenizer.encode(clip_set(clips, ids).features)
    encoded.clear()
    cache = tmp_path / "cache"
    for _ in range(2):
        found = coded_clips(clips, tokenizer, digest="a", cache=cache)
        assert list(found) == ids
        for one, other in zip(found.values(), expected, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == np.int64
    assert encoded == [len(ids)]
    coded_clips(clips, tokenizer, digest="another tokenizer", cache=cache)
    assert encoded == [len(ids)] * 2
    for file in cache.iterdir():
        file.write_bytes(b"damaged")
    coded_clips(clips, tokenizer, digest="a", cache=cache)
    assert encoded == [len(ids)] * 3


def test_other_features_are_encoded_anew(world: Path, tmp_path: Path, encoded: list[int]) -> None:
    tokenizer = load_tokenizer(paths.component("tokenizer", "full"), torch.device("cpu"))
    coded_clips(packed.load(paths.CLIPS), tokenizer, digest="a", cache=tmp_path)
    features = np.load(paths.CLIPS / "features.npy")
    features[0, 0] += 1.0
    (paths.CLIPS / "features.npy").unlink()  # a link to the shared world's
    np.save(paths.CLIPS / "features.npy", features)
    coded_clips(packed.load(paths.CLIPS), tokenizer, digest="a", cache=tmp_path)
    assert len(encoded) == 2
