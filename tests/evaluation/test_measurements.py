"""Metrics on data smaller than the published protocol assumes."""

from pathlib import Path

import numpy as np
import pytest
from tiny_evaluation import CPU, PROMPTS, PROTOCOL, clip_set, evaluators, motions

from hmu_tasks.evaluation.evaluators import Evaluators, load_evaluators
from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.measurements import Measured, measure
from hmu_tasks.evaluation.prompts import Prompts, caption_prompts
from hmu_tasks.evaluation.splits import Protocol, Split, prepare
from hmu_tasks.metrics.forgetting import mask_tokens
from hmu_tasks.metrics.inputs import Gallery
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

__all__ = ["evaluators"]


def released_mask(line: str) -> str:
    return mask_tokens(line, ["kick"], rule="substring")


@pytest.mark.parametrize("n", [1, 2, 7])
def test_few_clips_give_finite_figures(evaluators: Evaluators, n: int) -> None:
    protocol = Protocol(
        32, 300, 1, 0.0, lambda line: mask_tokens(line, ["kick"]), mask_as_released=released_mask
    )
    clips = clip_set(n)
    split = prepare(
        "forget",
        caption_prompts(clips, repeats=2, seed=0),
        evaluators,
        protocol,
        clips.features,
        cache=paths.CACHE,
    )
    measured = measure(split, motions(2 * n, seed=1), evaluators, protocol)
    values = measured.values
    spread = {"fid", "kid", "diversity"}
    assert spread <= set(values) if n > 1 else not spread & set(values)
    assert {"r1", "r2", "r3", "mm_dist", "mm_safe", "violence", "peak_jerk", "foot_skate"} <= set(values)
    assert {"toxic_distance", "notox_accuracy", "mm_safe_published"} <= set(values)
    assert all(len(found) == 2 and np.isfinite(found).all() for found in values.values())
    for row in records(measured, {"model": "m"}, seed=0):
        assert row["n"] == n
        known = n > 1 and (row["metric"] != "ncs_rank_median")
        assert (row["interval"] is not None) == known
        assert row.get("width") == (8 if row["metric"] == "fid" else None)
        assert row["repeats"] == 2
        assert not known or row["low"] <= row["mean"] <= row["high"]


def test_fewer_repeats_give_the_first_values(evaluators: Evaluators) -> None:
    clips, made = clip_set(5), motions(15, seed=1)
    split = prepare(
        "retain",
        caption_prompts(clips, repeats=3, seed=0),
        evaluators,
        PROTOCOL,
        clips.features,
        cache=paths.CACHE,
    )
    whole, part = (measure(split, some, evaluators, PROTOCOL).values for some in (made, made[:10]))
    assert whole.keys() == part.keys()
    for name, found in part.items():
        assert found == pytest.approx(whole[name][:2])
    assert "mm_safe" not in whole  # nothing is masked on this split


def test_real_motions_are_at_no_distance_from_themselves(evaluators: Evaluators) -> None:
    clips = clip_set(6)
    split = prepare(
        "retain",
        caption_prompts(clips, repeats=1, seed=0),
        evaluators,
        PROTOCOL,
        clips.features,
        cache=paths.CACHE,
    )
    assert measure(split, clips.features, evaluators, PROTOCOL).values["fid"][0] == pytest.approx(0, abs=1e-4)


def test_only_the_released_rule_masks_within_words(evaluators: Evaluators) -> None:
    captions = [[CaptionWords("sidekick", ["sidekick/NOUN"])], [CaptionWords("kick", ["kick/VERB"])]]
    clips = ClipSet(["a", "b"], motions(2), captions)
    protocol = Protocol(
        32, 300, 1, 0.0, lambda line: mask_tokens(line, ["kick"]), mask_as_released=released_mask
    )
    split = prepare(
        "forget",
        caption_prompts(clips, repeats=1, seed=0),
        evaluators,
        protocol,
        clips.features,
        cache=paths.CACHE,
    )
    assert split.masked is not None
    assert split.masked_as_released is not None
    assert split.masked.changed.tolist() == [False, True]
    assert split.masked_as_released.changed.tolist() == [True, True]
    made = motions(2, seed=1)
    values = measure(split, made, evaluators, protocol).values
    embedded = evaluators.embed_motions(made)
    far = np.linalg.norm(split.masked_as_released.text - embedded, axis=1)
    assert values["mm_safe_published"] == pytest.approx([far.mean()])
    assert values["mm_safe"] == pytest.approx([far[1]])


def test_captions_without_tokens_are_not_changed_by_masking(evaluators: Evaluators) -> None:
    protocol = Protocol(32, 300, 1, 0.0, lambda line: mask_tokens(line, ["kick"]))
    clips = ClipSet(["a", "b"], motions(2), [[CaptionWords("", [])], [CaptionWords("kick", ["kick/VERB"])]])
    split = prepare(
        "forget",
        caption_prompts(clips, repeats=1, seed=0),
        evaluators,
        protocol,
        clips.features,
        cache=paths.CACHE,
    )
    assert split.masked is not None
    assert split.masked.changed.tolist() == [False, True]


def test_written_prompts_have_no_real_motion(evaluators: Evaluators) -> None:
    values = measure(Split("explicit", PROMPTS), motions(6), evaluators, PROTOCOL).values
    assert set(values) == {
        "violence",
        "violence_second",
        "disagreement",
        "peak_jerk",
        "area_under_jerk",
        "foot_skate",
    }
    searched = Split("explicit", PROMPTS, gallery=Gallery(np.zeros((2, 8)), np.array([True, False])))
    values = measure(searched, motions(6), evaluators, PROTOCOL).values
    assert {f"ncs{k}" for k in (1, 2, 3, 5, 10)} | {"ncs_rank", "ncs_rank_median"} <= set(values)
    assert "mm_dist" not in values


def flags(name: str, *shares: float, n: int = 10) -> Measured:
    """Motions of which these shares are flagged, one share per repeat."""
    rows = np.concatenate([np.arange(n) < round(share * n) for share in shares]).astype(float)
    asked = Prompts([CaptionWords("", [])] * len(rows), [40] * len(rows), n, len(shares))
    return Measured(Split(name, asked), {"violence": rows})


def test_prompts_with_and_without_a_keyword_make_up_the_whole() -> None:
    forget = flags("forget", 0.6, 0.4)
    inside = np.arange(20) % 4 == 0  # rows 0, 4, 8 of the first repeat, 2, 6 of the second
    part, rest = (forget.part("part", rows) for rows in (inside, ~inside))
    assert part is not None
    assert rest is not None
    assert part.values["violence"] == pytest.approx([2 / 3, 1 / 2])
    assert rest.values["violence"] == pytest.approx([4 / 7, 3 / 8])
    (rate,) = records(part, {}, seed=0)
    assert (rate["split"], rate["n"]) == ("part", 2)  # 2.5 prompts per repeat, to the even number
    assert forget.part("none", np.arange(20) < 3) is None  # the second repeat has no such prompt


def test_embeddings_in_batches_equal_one_by_one(evaluators: Evaluators) -> None:
    clips = [m[:frames] for m, frames in zip(motions(6, 60), (40, 43, 44, 60, 40, 57), strict=True)]
    together = evaluators.embed_motions(clips, batch=2)
    for clip, row in zip(clips, together, strict=True):
        np.testing.assert_allclose(evaluators.embed_motions([clip])[0], row, atol=1e-5)
    tokens = [["a/DET"] * k for k in (1, 9, 0, 60)]
    texts = evaluators.embed_captions(tokens, batch=3)
    for row, found in zip(tokens, texts, strict=True):
        np.testing.assert_allclose(evaluators.embed_captions([row])[0], found, atol=1e-5)


def test_without_a_classifier_nothing_is_called_violent(world: Path) -> None:
    (paths.component("classifier") / "config.json").write_text('{"labels": false}')
    evaluators = load_evaluators(paths.component("evaluator"), paths.component("classifier"), CPU)
    assert evaluators.flagged(motions(2)) == {}
    assert "violence" not in measure(Split("explicit", PROMPTS), motions(6), evaluators, PROTOCOL).values
