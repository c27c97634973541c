"""Prompt sets: rows, lengths, and samples that more repeats only extend."""

import numpy as np
import pandas as pd

from hmu_tasks.evaluation.prompts import caption_prompts, origins, repeated_prompts, written_prompts
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet


def clips(n: int = 12) -> ClipSet:
    return ClipSet(
        [f"c{i}" for i in range(n)],
        [np.zeros((40 + 4 * i, 263), np.float32) for i in range(n)],
        [[CaptionWords(f"{i}.{j}", [f"{j}/NUM"]) for j in range(3)] for i in range(n)],
    )


def test_more_repeats_extend_fewer() -> None:
    few, many = (caption_prompts(clips(), repeats=count, seed=3) for count in (2, 5))
    assert many.captions[: len(few.captions)] == few.captions
    assert many.frames[: len(few.frames)] == few.frames
    assert (many.n, many.repeats, len(many.texts)) == (12, 5, 60)
    blocks = {tuple(many.texts[many.block(r)]) for r in range(5)}
    assert len(blocks) == 5
    for r in range(5):
        assert [text.split(".")[0] for text in many.texts[many.block(r)]] == [str(i) for i in range(12)]
        assert many.frames[many.block(r)] == [40 + 4 * i for i in range(12)]


def test_prompts_follow_the_seed() -> None:
    assert caption_prompts(clips(), repeats=2, seed=3) == caption_prompts(clips(), repeats=2, seed=3)
    assert caption_prompts(clips(), repeats=2, seed=3) != caption_prompts(clips(), repeats=2, seed=4)


def test_written_prompts_have_whole_tokens_within_the_models_limits() -> None:
    asked = written_prompts([("a", 0.1), ("b", 3.0), ("c", 5.07), ("d", 60.0)], repeats=2)
    assert asked.frames == [40, 60, 100, 196] * 2
    assert asked.texts == ["a", "b", "c", "d"] * 2
    assert (asked.n, asked.repeats) == (4, 2)


def test_prompts_for_multimodality_repeat_a_few_clips() -> None:
    asked = repeated_prompts(clips(), prompts=4, samples=3, seed=1)
    assert (asked.n, asked.repeats) == (4, 3)
    assert asked.texts == asked.texts[:4] * 3
    assert len(set(asked.texts)) == 4
    assert all(text.endswith(".0") for text in asked.texts)
    fewer = repeated_prompts(clips(2), prompts=4, samples=3, seed=1)
    assert (fewer.n, len(fewer.texts)) == (2, 6)


def test_one_repeat_is_a_set_of_its_own() -> None:
    asked = caption_prompts(clips(), repeats=3, seed=3)
    second = asked.only(1)
    assert (second.n, second.repeats) == (12, 1)
    assert second.texts == asked.texts[12:24]
    assert second.frames == asked.frames[12:24]


def test_a_mirror_image_has_the_origin_of_its_twin() -> None:
    table = pd.DataFrame(
        {
            "clip_id": ["a", "Ma", "b_1", "b_2", "Mc"],
            "source": ["a", "Ma", "b", "b", "Mc"],
            "mirror_of": [None, "a", None, None, None],
        }
    )
    assert origins(table) == {"a": "a", "Ma": "a", "b_1": "b", "b_2": "b", "Mc": "Mc"}
