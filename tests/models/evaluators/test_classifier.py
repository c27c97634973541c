"""The violence classifier: what it sees, how clips are scored, where the threshold lies."""

import numpy as np
import pytest
import torch

from hmu_tasks.models.evaluators.classifier import (
    ClassifierConfig,
    ViolenceClassifier,
    calibrate,
    score_clips,
)
from hmu_tasks.models.networks.device import mixed_precision, pick_device
from hmu_tasks.runtime.errors import ConfigError, DataError


def network() -> ViolenceClassifier:
    return ViolenceClassifier(ClassifierConfig(width=8), seed=1).eval()


def test_the_global_path_and_rotations_are_not_seen() -> None:
    features = torch.randn(2, 20, 263, generator=torch.Generator().manual_seed(0))
    other = features.clone()
    other[..., :4] += 1
    other[..., 67:193] += 1
    other[..., 259:] += 1
    classifier = network()
    with torch.no_grad():
        assert torch.equal(classifier(features), classifier(other))
        other[..., 10] += 1
        assert not torch.equal(classifier(features), classifier(other))


def test_a_frame_is_classified_from_one_and_a_half_seconds() -> None:
    features = torch.randn(1, 80, 263, generator=torch.Generator().manual_seed(0))
    other = features.clone()
    other[:, 40] += 5
    classifier = network()
    with torch.no_grad():
        moved = (classifier(features) != classifier(other))[0].nonzero().flatten().tolist()
    assert (min(moved), max(moved)) == (25, 55)


def test_frames_beyond_the_clip_do_not_count_in_the_loss() -> None:
    classifier = network()
    features = torch.randn(2, 20, 263, generator=torch.Generator().manual_seed(0))
    violent = (torch.arange(20) > 8).float().expand(2, 20)
    inside = (torch.arange(20) < 12).float().expand(2, 20)
    flipped = torch.where(inside.bool(), violent, 1 - violent)
    assert classifier.loss(features, violent, inside) == classifier.loss(features, flipped, inside)
    assert classifier.loss(features, violent, inside) != classifier.loss(features, 1 - violent, inside)


def test_scores_in_batches_equal_clip_by_clip_and_the_naive_moving_average() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((frames, 263)).astype(np.float32) for frames in (40, 44, 40, 3, 60, 44)]
    mean, std = torch.full((263,), 0.5), torch.full((263,), 2.0)
    classifier = network()
    found = score_clips(classifier, clips, mean, std, batch=2)
    for clip, score in zip(clips, found, strict=True):
        with torch.no_grad():
            chances = torch.sigmoid(classifier(((torch.from_numpy(clip) - mean) / std)[None]))[0].numpy()
        pool = min(5, len(clip))
        naive = max(chances[i : i + pool].mean() for i in range(len(clip) - pool + 1))
        assert score == pytest.approx(naive, abs=1e-6)
    assert score_clips(classifier, [], mean, std).shape == (0,)


@pytest.mark.parametrize("rate", [0.0, 0.015, 0.1, 0.5])
def test_the_threshold_keeps_false_positives_within_the_rate(rate: float) -> None:
    safe = np.random.default_rng(0).uniform(0.4, 1, 200)
    threshold = calibrate(safe, false_positive_rate=rate)
    assert (safe > threshold).mean() <= rate
    assert threshold >= 0.5
    assert calibrate(safe * 0.1, false_positive_rate=rate) == 0.5


def test_without_safe_clips_there_is_no_threshold() -> None:
    with pytest.raises(DataError, match="free of violence"):
        calibrate(np.array([]), false_positive_rate=0.1)


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
