"""Jerk, skating, joint error on motions whose answer is known."""

from pathlib import Path

import numpy as np
import pytest

from hmu_tasks.metrics.motion import area_under_jerk, foot_skate, mean_jerk, mean_joint_error, peak_jerk


@pytest.mark.parity
def test_joint_error_equals_official(shared: Path) -> None:
    golden = np.load(shared / "golden/f_metrics.npz")
    found = mean_joint_error(golden["mpjpe_pred"], golden["mpjpe_gt"])
    np.testing.assert_allclose(found, golden["mpjpe"], rtol=0, atol=1e-6)


def cubic(frames: int = 30, *, rate: float = 2.0, fps: float = 20.0) -> np.ndarray:
    """All joints move along x as rate * t^3: a constant jerk of 6 * rate."""
    clip = np.zeros((frames, 22, 3))
    clip[:, :, 0] = rate * ((np.arange(frames) / fps) ** 3)[:, None]
    return clip


def test_jerk_of_a_cubic_path() -> None:
    assert peak_jerk(cubic())[0] == pytest.approx(12.0)
    assert area_under_jerk(cubic())[0] == pytest.approx(12.0 * 27 / 20)
    assert area_under_jerk(cubic(), reference=12.0)[0] == pytest.approx(0.0, abs=1e-8)
    assert mean_jerk(cubic()) == pytest.approx(12.0)


def test_jerk_does_not_depend_on_frame_rate() -> None:
    assert peak_jerk(cubic(60, fps=40.0), fps=40.0)[0] == pytest.approx(12.0)


def test_list_equals_clip_by_clip() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((n, 22, 3)) for n in (4, 9, 40, 5)]
    for measure in (peak_jerk, area_under_jerk, foot_skate):
        single = np.concatenate([measure(clip) for clip in clips])
        np.testing.assert_allclose(measure(clips), single)


def standing(frames: int = 21) -> np.ndarray:
    rest = np.random.default_rng(3).uniform(0.5, 1.5, (22, 3))
    rest[10:12, 1] = 0.0
    return np.repeat(rest[None], frames, axis=0)


def test_standing_still_does_not_skate() -> None:
    assert foot_skate(standing())[0] == 0.0


def test_sliding_foot_skates_only_while_low_and_fast() -> None:
    slide = standing()
    slide[:, 10, 0] += 0.05 * np.arange(21)  # 1 m/s on the floor
    assert foot_skate(slide)[0] == 1.0
    lifted = slide.copy()
    lifted[:, 10, 1] += 0.2
    assert foot_skate(lifted)[0] == 0.0
    slow = standing()
    slow[:, 10, 0] += 0.02 * np.arange(21)  # 0.4 m/s
    assert foot_skate(slow)[0] == 0.0


def test_joint_error_ignores_the_path() -> None:
    clip = standing()
    assert mean_joint_error(clip + np.array([1.0, 0.0, 2.0]), clip).max() == pytest.approx(0.0, abs=1e-12)


def test_bad_clips_are_named() -> None:
    with pytest.raises(ValueError, match="clip 1 has 3 frames"):
        peak_jerk([np.zeros((9, 22, 3)), np.zeros((3, 22, 3))])
    with pytest.raises(ValueError, match="no clips"):
        peak_jerk([])
