"""What the violence classifiers learn from and are calibrated on: motions whose label is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import train
from hmu_tasks.data.clips import packed
from hmu_tasks.models.evaluators.classifier import CLASSIFIERS, load_classifiers
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import save_absent
from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.training import classifier, labelled
from hmu_tasks.training.loop import fit
from hmu_tasks.training.loop.coded import tokenizer_with_codes
from hmu_tasks.training.loop.job import Job, split_of

CONFIG = TokenizerConfig(
    features=12, width=16, code_width=8, codes=16, quantizers=3, depth=2, positions_start=2, positions_stop=8
)
CPU = torch.device("cpu")


def job() -> Job:
    return Job(tiny_params(), None, Path("unused"), Path("unused"), None)


def test_decoded_motions_are_those_of_the_tokenizer_in_half_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labelled, "CHUNK", 3)
    tokenizer = Tokenizer(RVQVAE(CONFIG, seed=1).eval(), torch.full((12,), 3.0), torch.full((12,), 2.0))
    rng = np.random.default_rng(0)
    clips = [rng.normal(3, 2, (frames, 12)).astype(np.float32) for frames in (24, 8, 16, 8, 40, 16, 12)]
    expected = tokenizer.decode(tokenizer.encode(clips))
    found = labelled.decoded(tokenizer, tokenizer.encode(clips))
    assert {motion.dtype for motion in found} == {np.dtype(np.float16)}
    assert [motion.shape for motion in found] == [clip.shape for clip in clips]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


def test_resampled_codes_keep_the_first_layer_alone(world: Path) -> None:
    clips = packed.load(paths.CLIPS)
    original = labelled.generator_of(job(), "full")
    assert original is not None
    known = split_of(clips, "val", None)
    _, codes = tokenizer_with_codes(job(), clips, "full")
    real = [codes[i] for i in known.ids]
    texts = [row[0].text for row in known.captions]
    vectors = padded(original.bundle.text.encode(texts))

    def refined(batch: int) -> list[np.ndarray]:
        found = original.bundle.model.refine_codes(
            real, vectors, sampling=original.sampling, generator=torch.Generator().manual_seed(1), batch=batch
        )
        assert found is not None
        return found

    once = refined(64)
    assert all(np.array_equal(a[:, 0], b[:, 0]) for a, b in zip(once, real, strict=True))
    assert any(not np.array_equal(a[:, 1:], b[:, 1:]) for a, b in zip(once, real, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(once, refined(2), strict=True))


def test_generated_motions_join_the_training_data_with_their_labels(world: Path) -> None:
    clips = packed.load(paths.CLIPS)
    known = split_of(clips, "train", None)
    data = classifier._training_data(job(), clips, labelled.generator_of(job(), "full"))
    recorded, generated = data.versions[: len(known.ids)], data.versions[len(known.ids) :]
    assert [len(group) for group in generated] == [1] * 4
    assert not np.concatenate(data.violent[len(known.ids) :]).any()
    assert np.concatenate(data.violent[: len(known.ids)]).any()
    assert sorted(len(group) for group in recorded) == [3] * (len(recorded) - 4) + [4] * 4
    for group, marks in zip(data.versions, data.violent, strict=True):
        assert {len(motion) for motion in group} == {len(marks)}


def test_the_threshold_holds_on_motions_of_d_r_for_both_kinds_of_prompts(world: Path) -> None:
    folder = train.run(tiny_params({"train": {"classifier": {"false_alarms": 0.0}}}), "classifier", None)
    clips = packed.load(paths.CLIPS)
    assert json.loads((folder / "config.json").read_text())["safe_motions"] == len(clips.ids("val"))
    retrain = labelled.generator_of(job(), "retrain")
    assert retrain is not None
    safe = [np.array(m, np.float32) for m in retrain.answers(split_of(clips, "val", None), 3)]
    for one in load_classifiers(folder, CPU).values():
        assert not one.flagged(safe).any()


def test_without_d_r_the_original_is_asked_for_retain_captions(world: Path) -> None:
    for component in ("tokenizer", "base-momask", "residual"):
        for file in paths.component(component, "retrain").iterdir():
            file.unlink()
        save_absent(paths.component(component, "retrain"), "no such checkpoint")
    folder = train.run(tiny_params(), "classifier", None)
    retain = split_of(packed.load(paths.CLIPS), "val", "retrain")
    assert json.loads((folder / "config.json").read_text())["safe_motions"] == len(retain.ids)
    assert list(load_classifiers(folder, CPU)) == list(CLASSIFIERS)


class KilledError(Exception):
    """A run that was killed."""


@pytest.mark.slow
def test_a_killed_training_of_the_second_one_goes_on_with_it(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)
    knobs = tiny_params({"train": {"classifier": {"recurrent": {"steps": 7, "batch": 2}}}})
    whole = weights.digest(train.run(knobs, "classifier", None))
    first = knobs.train.classifier.convolution.steps

    def kill(done: int, total: int) -> None:
        assert total == first + 7
        if done == first + 6:
            raise KilledError

    with pytest.raises(KilledError):
        train.run(knobs, "classifier", None, kill)
    seen: list[int] = []
    assert weights.digest(train.run(knobs, "classifier", None, lambda done, _: seen.append(done))) == whole
    assert seen == [first + done for done in (6, 7)]
