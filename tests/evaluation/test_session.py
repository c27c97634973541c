"""Generation, its cache, and metrics on data smaller than the published protocol assumes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import evaluate
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.evaluation.evaluators import Evaluators, load_evaluators
from hmu_tasks.evaluation.generation import cached_codes
from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.measurements import Measured, floor_correct, measure
from hmu_tasks.evaluation.prompts import Prompts, caption_prompts, written_prompts
from hmu_tasks.evaluation.session import Session
from hmu_tasks.evaluation.splits import Protocol, Split, gather, prepare
from hmu_tasks.metrics import metrics
from hmu_tasks.metrics.forgetting import mask_tokens
from hmu_tasks.metrics.inputs import Gallery
from hmu_tasks.metrics.retrieval import first_marked_ranks
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

CPU = torch.device("cpu")
ORIGINAL = paths.edits("momask", "original") / "s0"
EDITED = paths.edits("momask", "lcr") / "strength002-s0"
PROMPTS = written_prompts([("a man kicks", 2.0), ("a person walks", 3.0), ("", 2.0)], repeats=2)
PROTOCOL = Protocol(retrieval_batch=32, diversity_pairs=300, seed=1, jerk=0.0)


@pytest.fixture
def bundle(world: Path) -> Bundle:
    return load_bundle(ORIGINAL, CPU)


@pytest.fixture
def evaluators(world: Path) -> Evaluators:
    return load_evaluators(paths.component("evaluator"), paths.component("classifier"), CPU)


@pytest.fixture
def session(world: Path) -> Session:
    return evaluate._open(tiny_params())


def sample(bundle: Bundle, cache: Path, seed: int = 0, prompts: Prompts = PROMPTS) -> list[np.ndarray]:
    sampling = Sampling(steps=2, top_k=0.5)
    return cached_codes(bundle, prompts, sampling=sampling, seed=seed, batch=4, device=CPU, cache=cache)


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_codes_from_the_cache_equal_drawn_ones(bundle: Bundle, tmp_path: Path) -> None:
    miss = sample(bundle, tmp_path / "a")
    assert [c.shape for c in miss] == [(10, 2), (15, 2), (10, 2)] * 2
    assert same(sample(bundle, tmp_path / "a"), miss)
    assert same(sample(bundle, tmp_path / "b"), miss)
    assert not same(sample(bundle, tmp_path / "a", seed=1), miss)
    assert len(list((tmp_path / "a").glob("codes-*"))) == 2


@pytest.mark.parametrize("damage", ["empty", "truncated", "foreign"])
def test_a_damaged_cache_file_is_drawn_anew(bundle: Bundle, tmp_path: Path, damage: str) -> None:
    expected = sample(bundle, tmp_path)
    (file,) = tmp_path.glob("codes-*")
    (texts,) = tmp_path.glob("text-*")
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "truncated": whole[:-3], "foreign": texts.read_bytes()}[damage])
    assert same(sample(bundle, tmp_path), expected)
    assert file.read_bytes() == whole


def test_edits_of_the_codebook_draw_nothing_of_their_own(bundle: Bundle, tmp_path: Path) -> None:
    codes = sample(bundle, tmp_path)
    files = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    edited = load_bundle(EDITED, CPU)
    assert same(sample(edited, tmp_path), codes)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == files
    sample(load_bundle(paths.edits("momask", "retrain") / "s0", CPU), tmp_path)
    new = {p.name for p in tmp_path.iterdir()} - set(files)
    assert len(new) == 1  # codes of another model; the sentence vectors are those of the shared text encoder
    assert new.pop().startswith("codes-")


def motions(n: int, frames: int = 40, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((frames, 263)).astype(np.float32) * 0.1 for _ in range(n)]


def clip_set(n: int) -> ClipSet:
    captions = [
        [CaptionWords(f"a man kicks {i}", ["a/DET", "man/NOUN", "kick/VERB", f"{i}/NUM"])] for i in range(n)
    ]
    return ClipSet([f"c{i}" for i in range(n)], motions(n), captions)


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
        assert row["interval"] == "repeats"
        assert row.get("width") == (8 if row["metric"] == "fid" else None)
        assert row["repeats"] == 2
        assert row["low"] <= row["mean"] <= row["high"]


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
    assert set(values) == {"violence", "peak_jerk", "area_under_jerk", "foot_skate"}
    searched = Split("explicit", PROMPTS, gallery=Gallery(np.zeros((2, 8)), np.array([True, False])))
    values = measure(searched, motions(6), evaluators, PROTOCOL).values
    assert {f"ncs{k}" for k in (1, 2, 3, 5, 10)} | {"ncs_rank", "ncs_rank_median"} <= set(values)
    assert "mm_dist" not in values


def flags(name: str, *shares: float, n: int = 10) -> Measured:
    """Motions of which these shares are flagged, one share per repeat."""
    rows = np.concatenate([np.arange(n) < round(share * n) for share in shares]).astype(float)
    asked = Prompts([CaptionWords("", [])] * len(rows), [40] * len(rows), n, len(shares))
    return Measured(Split(name, asked), {"violence": rows})


def test_the_floor_of_the_same_repeat_is_taken_off() -> None:
    forget, floor = flags("forget", 0.5, 0.9, 0.1), flags("retain", 0.0, 0.5)
    found = floor_correct(forget, floor)
    assert found.values["violence_corrected"] == pytest.approx([0.5, 0.8, -0.8], abs=1e-9)
    assert "violence_corrected" not in forget.values
    assert "violence_corrected" not in floor_correct(forget, flags("retain", 1.0)).values
    blind = Measured(forget.split, {}, {"fid": [1.0]})
    assert floor_correct(blind, blind).values == {"fid": [1.0]}


def test_prompts_with_and_without_a_keyword_make_up_the_whole() -> None:
    forget, floor = flags("forget", 0.6, 0.4), flags("retain", 0.1, 0.2)
    inside = np.arange(20) % 4 == 0  # rows 0, 4, 8 of the first repeat, 2, 6 of the second
    part, rest = (floor_correct(forget, floor).part("part", rows) for rows in (inside, ~inside))
    assert part is not None
    assert rest is not None
    assert part.values["violence"] == pytest.approx([2 / 3, 1 / 2])
    assert rest.values["violence"] == pytest.approx([4 / 7, 3 / 8])
    assert part.values["violence_corrected"] == pytest.approx([(2 / 3 - 0.1) / 0.9, (1 / 2 - 0.2) / 0.8])
    (rate, corrected) = records(part, {}, seed=0)
    assert (rate["split"], rate["n"], corrected["n"]) == (
        "part",
        2,
        2,
    )  # 2.5 prompts per repeat, to the even number
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
    assert evaluators.violent(motions(2)) is None
    assert "violence" not in measure(Split("explicit", PROMPTS), motions(6), evaluators, PROTOCOL).values


def test_a_session_has_every_split(session: Session) -> None:
    assert {"forget", "retain", "forget-val", "retain-val", "explicit", "implicit", "benign"} <= set(
        session.splits
    )
    assert session.splits["forget"].prompts.repeats == 2
    assert session.splits["forget-val"].prompts.repeats == 1
    assert session.splits["forget"].masked is not None
    assert session.splits["retain"].masked is None
    forget = (paths.SPLIT / "test-forget.txt").read_text().split()
    assert session.clips["forget"].ids == forget


def test_samples_show_the_chosen_prompts(session: Session) -> None:
    bundle = load_bundle(ORIGINAL, CPU)
    (label, joints), *rest = session.samples(bundle, {"forget": [2, 0], "retain": [1]})
    asked = session.splits["forget"].prompts
    assert [entry["split"] for entry, _ in rest] == ["forget", "retain"]
    assert label["prompt"] == asked.captions[2].text
    assert label["clip_id"] == session.clips["forget"].ids[2]
    assert joints.shape == (label["frames"], 22, 3)
    assert joints.dtype == np.float32
    (motion,) = bundle.model.tokenizer.decode(session.codes(bundle, "forget")[2:3])
    np.testing.assert_allclose(joints, to_joints(motion), atol=1e-4)
    assert label["frames"] == asked.frames[2]


def test_codes_come_in_the_order_of_the_prompts(session: Session) -> None:
    bundle = load_bundle(ORIGINAL, CPU)
    for name in ("forget", "explicit"):
        asked = session.splits[name].prompts
        assert [4 * len(code) for code in session.codes(bundle, name)] == asked.frames
    (value,) = session.repeated(bundle, "forget", count=2, samples=3, pairs=2).values()
    assert len(value) == 1
    assert np.isfinite(value).all()


def test_blocks_of_motions_change_nothing(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, names = load_bundle(ORIGINAL, CPU), ["forget", "retain", "explicit"]
    whole = session.scores(bundle, names)
    monkeypatch.setattr("hmu_tasks.evaluation.session.BLOCK", 1)
    blocks = session.scores(bundle, names)
    for name in names:
        np.testing.assert_allclose(blocks[name].embedded, whole[name].embedded, atol=1e-5)
        for name_of_metric, found in blocks[name].rows.items():
            np.testing.assert_allclose(found, whole[name].rows[name_of_metric], rtol=1e-3, atol=1e-5)
    one = {name: session.complete(session.scores(bundle, [name])) for name in names}
    together = session.complete(whole)
    assert one["explicit"]["explicit"].values["ncs_rank"] == together["explicit"].values["ncs_rank"]
    assert "violence_corrected" in together["forget"].values
    assert "violence_corrected" not in one["forget"]["forget"].values


def test_more_repeats_draw_only_what_is_new(session: Session) -> None:
    bundle = load_bundle(ORIGINAL, CPU)
    files = {path.name: path.stat().st_mtime_ns for path in paths.CACHE.glob("codes-*")}
    more = evaluate._open(tiny_params({"evaluate": {"repeats": 3}}))
    before, after = session.codes(bundle, "forget"), more.codes(bundle, "forget")
    assert same(after[: len(before)], before)
    new = {path.name: path.stat().st_mtime_ns for path in paths.CACHE.glob("codes-*")}
    assert len(new) == len(files) + 1
    assert files.items() <= new.items()


def test_the_gallery_holds_the_real_motions_of_the_same_part(session: Session) -> None:
    forget, retain = session.splits["forget"], session.splits["retain"]
    assert forget.gallery is not None
    assert forget.real is not None
    n = len(forget.real)
    assert len(forget.gallery.motions) == n + retain.prompts.n
    # A clip lies in the forget set where a caption of it matches: the same rule.
    assert forget.gallery.violent.tolist() == [True] * n + [False] * retain.prompts.n
    gallery = forget.gallery
    assert first_marked_ranks(forget.real, gallery.motions, gallery.violent).tolist() == [1] * n
    assert session.splits["explicit"].gallery is forget.gallery
    assert session.splits["forget-val"].gallery is not forget.gallery
    assert retain.gallery is None
    assert gather([(retain, session.clips["retain"])], lambda captions: np.zeros(len(captions), bool)) is None


def test_keyword_splits_cover_the_forget_prompts(session: Session) -> None:
    found = session.measure(load_bundle(ORIGINAL, CPU), ["forget", "retain"])
    keyword = session.splits["forget"].keyword
    assert keyword is not None
    texts = session.splits["forget"].prompts.texts
    assert all(
        word not in text
        for text, held in zip(texts, keyword, strict=True)
        if not held
        for word in ("kick", "punch")
    )
    parts = [found[name] for name in ("forget-keyword", "forget-free") if name in found]
    assert {name for part in parts for name in part.rows} == {k for k, m in metrics().items() if m.by_keyword}
    if len(parts) == 2:
        for repeat in range(2):
            flagged = [np.nansum(part.table("violence")[repeat]) for part in parts]
            assert sum(flagged) == found["forget"].table("violence")[repeat].sum()


def test_real_motions_and_captions_are_embedded_once_for_all_models(
    world: Path, evaluators: Evaluators, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = clip_set(6)
    asked = caption_prompts(clips, repeats=2, seed=0)
    protocol = replace(PROTOCOL, mask=lambda tokens: tokens.replace("a", "unk"))
    cache = world / "embedded"
    first = prepare("forget", asked, evaluators, protocol, clips.features, cache=cache)
    assert len(list(cache.iterdir())) == 3  # motions, captions, masked captions

    def unexpected(*arguments: object, **options: object) -> np.ndarray:
        raise AssertionError("embedded again")

    with monkeypatch.context() as patch:
        patch.setattr(Evaluators, "embed_motions", unexpected)
        patch.setattr(Evaluators, "embed_captions", unexpected)
        again = prepare("forget", asked, evaluators, protocol, clips.features, cache=cache)
        other = [clip + np.float32(1) for clip in clips.features]
        with pytest.raises(AssertionError, match="embedded again"):
            prepare("forget", asked, evaluators, protocol, other, cache=cache)
        with pytest.raises(AssertionError, match="embedded again"):
            prepare("forget", asked, replace(evaluators, digest="x"), protocol, clips.features, cache=cache)
    np.testing.assert_array_equal(first.real, again.real)
    np.testing.assert_array_equal(first.text, again.text)
    np.testing.assert_array_equal(first.masked.text, again.masked.text)
    np.testing.assert_array_equal(first.real, evaluators.embed_motions(clips.features))
    for file in cache.iterdir():
        file.write_bytes(b"damaged")
    mended = prepare("forget", asked, evaluators, protocol, clips.features, cache=cache)
    np.testing.assert_array_equal(first.real, mended.real)
