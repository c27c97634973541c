"""The violence classifiers: what they see, how clips are scored, where the threshold lies."""

import numpy as np
import pytest
import torch

from hmu_tasks.models.evaluators.classifier import (
    CLASSIFIERS,
    ClassifierConfig,
    Violence,
    ViolenceClassifier,
    calibrate,
)
from hmu_tasks.models.networks.device import mixed_precision, pick_device
from hmu_tasks.runtime.errors import ConfigError, DataError


def network(name: str) -> ViolenceClassifier:
    return CLASSIFIERS[name](ClassifierConfig(width=8), seed=1).eval()


def logits(classifier: ViolenceClassifier, features: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return classifier.logits(features, torch.full((len(features),), features.shape[1]))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_global_path_and_rotations_are_not_seen(name: str) -> None:
    features = torch.randn(2, 20, 263, generator=torch.Generator().manual_seed(0))
    other = features.clone()
    other[..., :4] += 1
    other[..., 67:193] += 1
    other[..., 259:] += 1
    classifier = network(name)
    assert torch.equal(logits(classifier, features), logits(classifier, other))
    other[..., 10] += 1
    assert not torch.equal(logits(classifier, features), logits(classifier, other))


def test_only_the_convolutions_see_velocities() -> None:
    features = torch.randn(2, 20, 263, generator=torch.Generator().manual_seed(0))
    other = features.clone()
    other[..., 193:259] += 1
    same = {
        name: torch.equal(logits(network(name), features), logits(network(name), other))
        for name in CLASSIFIERS
    }
    assert same == {"convolution": False, "recurrent": True}


def test_the_convolutions_reach_one_and_a_half_seconds() -> None:
    features = torch.randn(1, 80, 263, generator=torch.Generator().manual_seed(0))
    other = features.clone()
    other[:, 40] += 5
    classifier = network("convolution")
    moved = (logits(classifier, features) != logits(classifier, other))[0].nonzero().flatten().tolist()
    assert (min(moved), max(moved)) == (25, 55)


@pytest.mark.parametrize("frames", [40, 41, 43])
def test_the_recurrent_one_sees_all_of_a_motion_of_any_length(frames: int) -> None:
    features = torch.randn(1, frames, 263, generator=torch.Generator().manual_seed(0))
    other = features.clone()
    other[:, 0] += 5
    moved = logits(network("recurrent"), features) != logits(network("recurrent"), other)
    assert moved.shape == (1, frames)
    assert moved.all()


def test_the_recurrent_one_reads_a_clip_alike_in_any_company() -> None:
    features = torch.randn(2, 60, 263, generator=torch.Generator().manual_seed(0))
    classifier = network("recurrent")
    with torch.no_grad():
        padded = classifier.logits(features, torch.tensor([60, 40]))
    assert torch.allclose(padded[1:, :40], logits(classifier, features[1:, :40]), atol=1e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_frames_beyond_the_clip_do_not_count_in_the_loss(name: str) -> None:
    classifier = network(name)
    features = torch.randn(2, 20, 263, generator=torch.Generator().manual_seed(0))
    violent = (torch.arange(20) > 8).float().expand(2, 20)
    lengths = torch.tensor([12, 12])
    flipped = torch.where(torch.arange(20) < 12, violent, 1 - violent)
    assert classifier.loss(features, violent, lengths) == classifier.loss(features, flipped, lengths)
    assert classifier.loss(features, violent, lengths) != classifier.loss(features, 1 - violent, lengths)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_in_batches_equal_clip_by_clip_and_the_naive_moving_average(name: str) -> None:
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((frames, 263)).astype(np.float32) for frames in (40, 44, 40, 3, 60, 44)]
    mean, std = torch.full((263,), 0.5), torch.full((263,), 2.0)
    classifier = network(name)
    side = Violence(classifier, mean, std, threshold=0.5)
    found = side.scores(clips, batch=2)
    for clip, score in zip(clips, found, strict=True):
        chances = torch.sigmoid(logits(classifier, ((torch.from_numpy(clip) - mean) / std)[None]))[0].numpy()
        pool = min(5, len(clip))
        naive = max(chances[i : i + pool].mean() for i in range(len(clip) - pool + 1))
        assert score == pytest.approx(naive, abs=1e-6)
    assert side.scores([]).shape == (0,)
    assert side.flagged(clips).tolist() == (found > 0.5).tolist()


@pytest.mark.parametrize("rate", [0.0, 0.015, 0.1, 0.5])
def test_the_threshold_keeps_false_positives_within_the_rate(rate: float) -> None:
    safe = np.random.default_rng(0).uniform(0.4, 1, 200)
    threshold = calibrate(safe, false_alarms=rate)
    assert (safe > threshold).mean() <= rate
    assert threshold >= 0.5
    assert calibrate(safe * 0.1, false_alarms=rate) == 0.5


def test_without_safe_clips_there_is_no_threshold() -> None:
    with pytest.raises(DataError, match="free of violence"):
        calibrate(np.array([]), false_alarms=0.1)


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    if torch.cuda.is_available():
        assert pick_device("auto").type == pick_device("cuda").type == "cuda"
    else:
        assert pick_device("auto").type == "cpu"
        with pytest.raises(ConfigError, match=r"run\.device"):
            pick_device("cuda")


def test_mixed_precision_on_a_cpu_is_for_one_shape_and_amx_only() -> None:
    for one_shape in (False, True):
        with mixed_precision(torch.device("cpu"), one_shape=one_shape):
            kind = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        native = one_shape and torch.cpu._is_amx_tile_supported()
        assert kind == (torch.bfloat16 if native else torch.float32)
