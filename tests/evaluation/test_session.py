"""A session: every split, its samples, and what all models share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_evaluation import CPU, ORIGINAL, PROTOCOL, bundle, clip_set, evaluators, same, session
from tiny_world import tiny_params

from hmu_tasks import evaluate
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.evaluation.evaluators import Evaluators
from hmu_tasks.evaluation.measurements import Measured
from hmu_tasks.evaluation.prompts import Prompts, caption_prompts
from hmu_tasks.evaluation.session import Session
from hmu_tasks.evaluation.splits import Split, gather, prepare
from hmu_tasks.metrics import metrics
from hmu_tasks.metrics.retrieval import first_marked_ranks
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import CaptionWords

__all__ = ["bundle", "evaluators", "session"]


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
    flagged = {name: bool(marks[0]) for name, marks in session.evaluators.flagged([motion]).items()}
    assert label["flagged"] == flagged
    assert list(flagged) == ["convolution", "recurrent"]


def test_prompts_whose_motions_the_classifiers_dispute_are_shown(session: Session) -> None:
    marks = np.array([0.0, 1.0, 0.0])
    split = Split("forget", Prompts([CaptionWords("a", [])] * 3, [40] * 3, 3, 1))
    tested = {name: Measured(split, {"disagreement": marks}) for name in ("forget", "retain")}
    assert evaluate._disputed(tested, 2) == {"forget": [1], "retain": [1]}
    assert evaluate._disputed(tested, 0) == {"forget": [], "retain": []}
    assert evaluate._disputed({name: Measured(split, {}) for name in tested}, 2) == {}


def test_codes_come_in_the_order_of_the_prompts(session: Session) -> None:
    bundle = load_bundle(ORIGINAL, CPU)
    for name in ("forget", "explicit"):
        asked = session.splits[name].prompts
        assert [4 * len(code) for code in session.codes(bundle, name)] == asked.frames
    found = session.repeated(bundle, "forget", count=2, samples=3, pairs=2)
    assert len(found.values["multimodality"]) == 1
    assert np.isfinite(found.values["multimodality"]).all()
    assert found.influence["multimodality"].own.shape == (1, 2)


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
    assert {name for part in parts for name in part.rows} == {
        k for k, m in metrics().items() if m.by_keyword and k in found["forget"].rows
    }
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
