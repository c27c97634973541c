"""Physical quality of joint motion: jerk, foot skating, joint error.

Clips are arrays [F, J, 3] in metres, Y up; every function takes one clip or a list of clips of any lengths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hmu_tasks.metrics.inputs import Motions, Reconstructed
from hmu_tasks.metrics.metric import Column, Metric

Floats = NDArray[np.float64]
Clips = NDArray[np.floating] | Sequence[NDArray[np.floating]]

# Left and right foot among the 22 joints of SMPL.
FEET = (10, 11)


def _packed(joints: Clips) -> tuple[Floats, NDArray[np.int64]]:
    """Return all frames one after the other, [sum F, J, 3], and the length of each clip."""
    clips = [joints] if isinstance(joints, np.ndarray) and joints.ndim == 3 else list(joints)
    if not clips:
        raise ValueError("no clips given")
    for place, clip in enumerate(clips):
        if clip.ndim != 3 or clip.shape[2] != 3:
            raise ValueError(f"clip {place} must be [frames, joints, 3], got shape {clip.shape}")
        if clip.shape[0] < 4:
            raise ValueError(f"clip {place} has {clip.shape[0]} frames; at least 4 are needed")
    lengths = np.array([clip.shape[0] for clip in clips])
    return np.concatenate(clips).astype(np.float64), lengths


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])


def _inner(lengths: NDArray[np.int64], order: int) -> NDArray[np.bool_]:
    """Mark the differences of `order` over packed frames that stay within one clip."""
    inside = np.ones(int(lengths.sum()) - order, dtype=bool)
    for back in range(1, order + 1):
        inside[np.cumsum(lengths)[:-1] - back] = False
    return inside


def _jerk(joints: Clips, fps: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return the largest joint jerk of each frame step, [sum(F - 3)] in m/s^3, and the steps of each clip."""
    frames, lengths = _packed(joints)
    third = np.diff(frames, n=3, axis=0)
    # The largest square belongs to the largest norm: one root per frame, and frames across clips go at last.
    largest = np.einsum("fjc,fjc->fj", third, third).max(axis=1)[_inner(lengths, 3)]
    return np.sqrt(largest) * fps**3, lengths - 3


def mean_jerk(joints: Clips, *, fps: float = 20.0) -> float:
    """Return the mean over frames of the largest joint jerk, in m/s^3: the reference for area_under_jerk."""
    return float(_jerk(joints, fps)[0].mean())


@dataclass(frozen=True)
class JerkFigures:
    """Largest jerk in m/s^3 and area under jerk in m/s^2 of each clip, [N]."""

    peak: Floats
    area: Floats


def jerk_figures(joints: Clips, *, fps: float = 20.0, reference: float = 0.0) -> JerkFigures:
    """Return `peak_jerk` and `area_under_jerk` of the same clips, with the derivatives taken once."""
    jerk, steps = _jerk(joints, fps)
    starts = _starts(steps)
    return JerkFigures(
        peak=np.maximum.reduceat(jerk, starts),
        area=np.add.reduceat(np.abs(jerk - reference), starts) / fps,
    )


def peak_jerk(joints: Clips, *, fps: float = 20.0) -> Floats:
    """Return the largest jerk of any joint in each clip, [N] in m/s^3 (Barquero et al. 2024)."""
    return jerk_figures(joints, fps=fps).peak


def area_under_jerk(joints: Clips, *, fps: float = 20.0, reference: float = 0.0) -> Floats:
    """Return the time integral of |largest joint jerk - reference|, [N] in m/s^2 (Barquero et al. 2024).

    reference: mean_jerk of real motions; both rough and frozen motion then cost. 0 gives the plain area.
    """
    return jerk_figures(joints, fps=fps, reference=reference).area


def foot_skate(
    joints: Clips, *, fps: float = 20.0, height: float = 0.05, speed: float = 0.5, feet: Sequence[int] = FEET
) -> Floats:
    """Return the share of frame steps in which a grounded foot slides, [N] (Karunratanakul et al. 2023).

    Grounded: the foot joint is below `height` metres over the clip's lowest foot in both frames.
    Sliding: it moves horizontally by more than `speed` m/s (0.5 m/s = 2.5 cm per frame at 20 fps).
    """
    frames, lengths = _packed(joints)
    foot = frames[:, list(feet)]
    floor = np.repeat(np.minimum.reduceat(foot[:, :, 1].min(axis=1), _starts(lengths)), lengths)
    low = foot[:, :, 1] < floor[:, None] + height
    travel = np.linalg.norm(np.diff(foot[:, :, [0, 2]], axis=0), axis=2) * fps
    slides = ((travel > speed) & low[1:] & low[:-1]).any(axis=1)[_inner(lengths, 1)]
    shares: Floats = np.add.reduceat(slides.astype(np.float64), _starts(lengths - 1)) / (lengths - 1)
    return shares


def mean_joint_error(joints: ArrayLike, reference: ArrayLike) -> Floats:
    """Return the mean distance of corresponding joints per frame, pelvis moved to the origin, [F] in metres.

    joints, reference: [F, J, 3]. The global path does not enter this metric (MPJPE).
    """
    left, right = np.asarray(joints, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if left.shape != right.shape or left.ndim != 3:
        raise ValueError(f"clips must have equal shape [frames, joints, 3], got {left.shape}, {right.shape}")
    gap = (left - left[:, :1]) - (right - right[:, :1])
    error: Floats = np.linalg.norm(gap, axis=2).mean(axis=1)
    return error


def _jerk_of(motions: Motions) -> JerkFigures:
    return jerk_figures(motions.joints, fps=motions.fps, reference=motions.jerk)


PEAK_JERK = Metric(
    "peak jerk",
    "m/s³",
    {"forget": "retrain", "retain": "retrain"},
    Motions,
    lambda motions: motions.once(_jerk_of).peak,
    columns=(
        Column("quality", 20, "forget", digits=0),
        Column("quality", 50, "retain", digits=0),
        Column("card-kept", 50),
    ),
)
AREA_UNDER_JERK = Metric(
    "area under jerk",
    "m/s²",
    {"forget": "lower", "retain": "lower"},
    Motions,
    lambda motions: motions.once(_jerk_of).area,
    columns=(
        Column("quality", 30, "forget", "AUJ", digits=0),
        Column("quality", 60, "retain", "AUJ", digits=0),
    ),
)
FOOT_SKATE = Metric(
    "foot skating",
    "share",
    {"forget": "lower", "retain": "lower"},
    Motions,
    lambda motions: foot_skate(motions.joints, fps=motions.fps, feet=motions.feet),
    columns=(
        Column("quality", 10, "forget", "skating, forget", digits=1, percent=True),
        Column("quality", 40, "retain", "skating, retain", digits=1, percent=True),
    ),
)
MPJPE = Metric(
    "mean joint error",
    "m",
    {"forget": "lower", "retain": "lower"},
    Reconstructed,
    lambda made: np.array(
        [mean_joint_error(a, b).mean() for a, b in zip(made.joints, made.reference, strict=True)]
    ),
)
