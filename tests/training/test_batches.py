"""Clips and captions as training loops sample them."""

from pathlib import Path

import numpy as np
import torch

from hmu_tasks.data.clips import packed
from hmu_tasks.runtime import paths
from hmu_tasks.training.evaluator import drop_words
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet, clip_set
from hmu_tasks.training.loop.code_batches import CodeSet

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def three() -> ClipSet:
    features = [
        np.full((frames, 5), i, np.float32) + np.arange(frames)[:, None]
        for i, frames in enumerate((8, 12, 20))
    ]
    captions = [[CaptionWords(f"{i} {j}", []) for j in range(i + 1)] for i in range(3)]
    return ClipSet(["a", "b", "c"], [f.astype(np.float32) for f in features], captions)


def test_clips_keep_the_order_asked_for_and_lose_broken_tokens(world: Path) -> None:
    clips = packed.load(paths.CLIPS)
    ids = clips.ids("train")[5:0:-1]
    chosen = clip_set(clips, ids)
    assert chosen.ids == ids
    for clip_id, features, captions in zip(ids, chosen.features, chosen.captions, strict=True):
        whole = clips.features(clip_id)
        assert len(features) == len(whole) // 4 * 4
        np.testing.assert_array_equal(features, whole[: len(features)])
        table = clips.captions[clips.captions["clip_id"] == clip_id]
        assert [c.text for c in captions] == table["caption"].tolist()
        assert [" ".join(c.tokens) for c in captions] == table["tokens"].tolist()
    assert chosen.frames.tolist() == [len(f) for f in chosen.features]
    assert clip_set(clips, []).ids == []


def test_padding_is_zero_and_the_rest_normalised() -> None:
    mean, std = torch.full((5,), 2.0), torch.full((5,), 4.0)
    padded, lengths = three().padded([2, 0], mean, std)
    assert lengths.tolist() == [20, 8]
    assert padded.shape == (2, 20, 5)
    assert not padded[1, 8:].any()
    torch.testing.assert_close(padded[0], (torch.from_numpy(three().features[2]) - 2) / 4)


def test_every_caption_is_drawn() -> None:
    clips = three()
    sampled = {clips.sample_captions([2], generator(seed))[0].text for seed in range(30)}
    assert sampled == {"2 0", "2 1", "2 2"}
    assert clips.sample_captions([0, 1, 2], generator(4)) == clips.sample_captions([0, 1, 2], generator(4))


def test_words_are_dropped_now_and_then() -> None:
    captions = [CaptionWords("", ["a/DET", "kick/VERB"] * 50)] * 20
    dropped = drop_words(captions, generator())
    assert [len(row) for row in dropped] == [100] * 20
    share = np.mean([word == "unk/OTHER" for row in dropped for word in row])
    assert 0.03 < share < 0.07
    assert captions[0].tokens[0] == "a/DET"


def test_windows_lie_within_the_clip_and_short_clips_stand_still_at_the_end() -> None:
    mean, std = torch.zeros(5), torch.ones(5)
    starts = set()
    for seed in range(40):
        cut = three().windows(np.array([0, 1, 2]), 12, generator(seed), mean, std)
        assert cut.shape == (3, 12, 5)
        assert cut[0, :, 0].tolist() == [*range(8), *[7] * 4]
        assert cut[1, :, 0].tolist() == [1 + i for i in range(12)]
        first = int(cut[2, 0, 0]) - 2
        assert cut[2, :, 0].tolist() == [2 + first + i for i in range(12)]
        starts.add(first)
    assert starts == set(range(9))


def test_codes_are_padded_and_paired_with_a_caption_of_their_clip() -> None:
    codes = [np.full((tokens, 2), tokens) for tokens in (3, 5)]
    vectors = {"a": torch.zeros(4), "b": torch.ones(4), "c": torch.full((4,), 2.0)}
    given = CodeSet(codes, [["a"], ["b", "c"]], vectors)
    assert given.tokens.tolist() == [3, 5]
    sampled = set()
    for seed in range(20):
        rows, text, lengths = given.batch(np.array([1, 0]), generator(seed), CPU)
        assert lengths.tolist() == [5, 3]
        assert rows[1, :, 0].tolist() == [3, 3, 3, 0, 0]
        assert torch.equal(text[1], vectors["a"])
        sampled.add(float(text[0, 0]))
    assert sampled == {1.0, 2.0}
