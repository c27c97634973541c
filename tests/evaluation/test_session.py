"""Generation, its cache, and figures on data smaller than the published protocol assumes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import evaluate, paths
from hmu_tasks.data.features import to_joints
from hmu_tasks.evaluation import figures
from hmu_tasks.evaluation.figures import Protocol, Split, floor_correct, measure, prepare, records
from hmu_tasks.evaluation.generation import draw_codes
from hmu_tasks.evaluation.judge import Judge, load_judge
from hmu_tasks.evaluation.prompts import Prompts, caption_prompts, written_prompts
from hmu_tasks.evaluation.session import Session
from hmu_tasks.metrics.forgetting import mask_tokens
from hmu_tasks.models.momask import Sampling
from hmu_tasks.models.store import Bundle, load_bundle
from hmu_tasks.training.batches import Caption, ClipSet

CPU = torch.device("cpu")
ORIGINAL = paths.edits("momask", "original") / "s0"
EDITED = paths.edits("momask", "lcr") / "k002-s0"
PROMPTS = written_prompts([("a man kicks", 2.0), ("a person walks", 3.0), ("", 2.0)], repeats=2)
PROTOCOL = Protocol(retrieval_batch=32, diversity_pairs=300, seed=1, jerk=0.0)


@pytest.fixture
def bundle(world: Path) -> Bundle:
    return load_bundle(ORIGINAL, CPU)


@pytest.fixture
def judge(world: Path) -> Judge:
    return load_judge(paths.component("evaluator"), paths.component("classifier"), CPU)


@pytest.fixture
def session(world: Path) -> Session:
    return evaluate._open(tiny_params())


def draw(bundle: Bundle, cache: Path, seed: int = 0, prompts: Prompts = PROMPTS) -> list[np.ndarray]:
    sampling = Sampling(steps=2, top_k=0.5)
    return draw_codes(bundle, prompts, sampling=sampling, seed=seed, batch=4, device=CPU, cache=cache)


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_codes_from_the_cache_equal_drawn_ones(bundle: Bundle, tmp_path: Path) -> None:
    miss = draw(bundle, tmp_path / "a")
    assert [c.shape for c in miss] == [(10, 2), (15, 2), (10, 2)] * 2
    assert same(draw(bundle, tmp_path / "a"), miss)
    assert same(draw(bundle, tmp_path / "b"), miss)
    assert not same(draw(bundle, tmp_path / "a", seed=1), miss)
    assert len(list((tmp_path / "a").glob("codes-*"))) == 2


@pytest.mark.parametrize("damage", ["empty", "truncated", "foreign"])
def test_a_damaged_cache_file_is_drawn_anew(bundle: Bundle, tmp_path: Path, damage: str) -> None:
    expected = draw(bundle, tmp_path)
    (file,) = tmp_path.glob("codes-*")
    (texts,) = tmp_path.glob("text-*")
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "truncated": whole[:-3], "foreign": texts.read_bytes()}[damage])
    assert same(draw(bundle, tmp_path), expected)
    assert file.read_bytes() == whole


def test_edits_of_the_codebook_draw_nothing_of_their_own(bundle: Bundle, tmp_path: Path) -> None:
    codes = draw(bundle, tmp_path)
    files = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    edited = load_bundle(EDITED, CPU)
    assert same(draw(edited, tmp_path), codes)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == files
    draw(load_bundle(paths.edits("momask", "retrain") / "s0", CPU), tmp_path)
    new = {p.name for p in tmp_path.iterdir()} - set(files)
    assert len(new) == 1  # codes of another model; the sentence vectors are those of the shared text encoder
    assert new.pop().startswith("codes-")


def motions(n: int, frames: int = 40, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((frames, 263)).astype(np.float32) * 0.1 for _ in range(n)]


def clip_set(n: int) -> ClipSet:
    captions = [
        [Caption(f"a man kicks {i}", ["a/DET", "man/NOUN", "kick/VERB", f"{i}/NUM"])] for i in range(n)
    ]
    return ClipSet([f"c{i}" for i in range(n)], motions(n), captions)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_few_clips_give_finite_figures(judge: Judge, n: int) -> None:
    protocol = Protocol(32, 300, 1, 0.0, lambda line: mask_tokens(line, ["kick"]))
    clips = clip_set(n)
    split = prepare("forget", caption_prompts(clips, repeats=2, seed=0), judge, protocol, clips.features)
    values = measure(split, motions(2 * n, seed=1), judge, protocol)
    spread = {"fid", "kid", "diversity"}
    assert spread <= set(values) if n > 1 else not spread & set(values)
    assert {"r1", "r2", "r3", "mm_dist", "mm_safe", "violence", "peak_jerk", "foot_skate"} <= set(values)
    assert all(len(found) == 2 and np.isfinite(found).all() for found in values.values())
    for row in records(values, split, {"model": "m"}):
        assert row["n"] == n
        assert row["repeats"] == 2
        assert row["low"] <= row["mean"] <= row["high"]


def test_fewer_repeats_give_the_first_values(judge: Judge) -> None:
    clips, made = clip_set(5), motions(15, seed=1)
    split = prepare("retain", caption_prompts(clips, repeats=3, seed=0), judge, PROTOCOL, clips.features)
    whole, part = measure(split, made, judge, PROTOCOL), measure(split, made[:10], judge, PROTOCOL)
    assert whole.keys() == part.keys()
    for name, found in part.items():
        assert found == pytest.approx(whole[name][:2])
    assert "mm_safe" not in whole  # nothing is masked on this split


def test_real_motions_are_at_no_distance_from_themselves(judge: Judge) -> None:
    clips = clip_set(6)
    split = prepare("retain", caption_prompts(clips, repeats=1, seed=0), judge, PROTOCOL, clips.features)
    assert measure(split, clips.features, judge, PROTOCOL)["fid"][0] == pytest.approx(0, abs=1e-4)


def test_captions_without_tokens_are_not_changed_by_masking(judge: Judge) -> None:
    protocol = Protocol(32, 300, 1, 0.0, lambda line: mask_tokens(line, ["kick"]))
    clips = ClipSet(["a", "b"], motions(2), [[Caption("", [])], [Caption("kick", ["kick/VERB"])]])
    split = prepare("forget", caption_prompts(clips, repeats=1, seed=0), judge, protocol, clips.features)
    assert split.changed is not None
    assert split.changed.tolist() == [False, True]


def test_written_prompts_have_no_real_motion(judge: Judge) -> None:
    values = measure(Split("explicit", PROMPTS), motions(6), judge, PROTOCOL)
    assert set(values) == {"violence", "peak_jerk", "area_under_jerk", "foot_skate"}


def test_the_floor_of_the_same_repeat_is_taken_off() -> None:
    values = {"forget": {"violence": [0.5, 0.9, 0.1]}, "retain": {"violence": [0.0, 0.5]}}
    floor_correct(values, "forget", "retain")
    assert values["forget"]["violence_corrected"] == pytest.approx([0.5, 0.8, 0.0], abs=1e-9)
    assert "violence_corrected" not in values["retain"]
    blind: dict[str, figures.Values] = {"forget": {"fid": [1.0]}, "retain": {"fid": [1.0]}}
    floor_correct(blind, "forget", "retain")
    assert blind["forget"] == {"fid": [1.0]}


def test_embeddings_in_batches_equal_one_by_one(judge: Judge) -> None:
    clips = [m[:frames] for m, frames in zip(motions(6, 60), (40, 43, 44, 60, 40, 57), strict=True)]
    together = judge.embed_motions(clips, batch=2)
    for clip, row in zip(clips, together, strict=True):
        np.testing.assert_allclose(judge.embed_motions([clip])[0], row, atol=1e-5)
    tokens = [["a/DET"] * k for k in (1, 9, 0, 60)]
    texts = judge.embed_captions(tokens, batch=3)
    for row, found in zip(tokens, texts, strict=True):
        np.testing.assert_allclose(judge.embed_captions([row])[0], found, atol=1e-5)


def test_without_a_classifier_nothing_is_called_violent(world: Path) -> None:
    (paths.component("classifier") / "config.json").write_text('{"labels": false}')
    judge = load_judge(paths.component("evaluator"), paths.component("classifier"), CPU)
    assert judge.violent(motions(2)) is None
    assert "violence" not in measure(Split("explicit", PROMPTS), motions(6), judge, PROTOCOL)


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
    motion = session.motions(bundle, "forget")[2]
    np.testing.assert_allclose(joints, to_joints(motion), atol=1e-4)
    assert label["frames"] == asked.frames[2]


def test_fewer_repeats_decode_fewer_motions(session: Session) -> None:
    bundle = load_bundle(ORIGINAL, CPU)
    n = session.splits["forget"].prompts.n
    assert len(session.motions(bundle, "forget")) == 2 * n
    assert len(session.motions(bundle, "forget", repeats=1)) == n
    values = session.measure(bundle, ["forget", "retain"], repeats=1)
    assert len(values["forget"]["violence_corrected"]) == 1
    value = session.multimodality(bundle, "forget", count=2, samples=3, pairs=2)
    assert len(value) == 1
    assert np.isfinite(value).all()
