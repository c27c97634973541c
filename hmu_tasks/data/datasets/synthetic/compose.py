"""Compose a clip of one to three actions: joints, labels and captions, from one random generator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.synthetic.body import random_body
from hmu_tasks.data.datasets.synthetic.captions import CaptionedAction, Sentence, describe
from hmu_tasks.data.datasets.synthetic.gestures import HANDS
from hmu_tasks.data.datasets.synthetic.locomotion import TRAVEL
from hmu_tasks.data.datasets.synthetic.moves import (
    FIGHTING,
    LEVEL,
    NEUTRAL,
    STAGGERED,
    Action,
    Cue,
    pick,
    settle,
)
from hmu_tasks.data.datasets.synthetic.strikes import STRIKES
from hmu_tasks.data.datasets.synthetic.track import FPS, Track, play
from hmu_tasks.data.datasets.synthetic.whole_body import POSTURES

ACTIONS: tuple[Action, ...] = (*STRIKES, *TRAVEL, *HANDS, *POSTURES)
SAFE = tuple(action for action in ACTIONS if not action.violent)
NUMBER = {action.name: number for number, action in enumerate(ACTIONS)}
MIN_FRAMES, MAX_FRAMES = 40, 196
_SAFE_CHANCES = np.cumsum([action.weight for action in SAFE]) / sum(action.weight for action in SAFE)
_LONGEST_TURN = 2.3  # radians; see locomotion.py on headings near 180 degrees
# Similar shares for violent and safe clips, so that raised fists reveal little.
_GUARD_SHARE = {True: 0.42, False: 0.34}
_TEMPO = {
    True: {"": (0.86, 1.02), "fast": (1.15, 1.32)},
    False: {"slow": (0.62, 0.74), "": (0.92, 1.10), "fast": (1.34, 1.54)},
}


@dataclass(frozen=True)
class SyntheticClip:
    """A generated clip: joints [F + 1, 22, 3] in metres, labels [F] action ids, three captions, and its actions."""

    joints: NDArray[np.float32]
    labels: NDArray[np.int16]
    captions: tuple[Sentence, ...]
    actions: tuple[str, ...]
    violent: bool


def _safe(rng: np.random.Generator) -> Action:
    return SAFE[int(np.searchsorted(_SAFE_CHANCES, rng.random(), side="right"))]


def _plan(rng: np.random.Generator, *, violent: bool) -> list[Action]:
    """Sample one to three actions; consecutive ones differ."""
    count = 1 + int(rng.random() < 0.68) + int(rng.random() < 0.35)
    actions = [_safe(rng) for _ in range(count)]
    if violent:
        actions[int(rng.random() * count)] = pick(rng, STRIKES)
        if count > 1 and rng.random() < 0.35:
            actions[int(rng.random() * count)] = pick(rng, STRIKES)
    kept = actions[:1]
    for action in actions[1:]:
        if action is not kept[-1]:
            kept.append(action)
    return kept


def _write(
    rng: np.random.Generator, plan: list[Action], *, violent: bool
) -> tuple[Track, list[CaptionedAction], float]:
    """Write the plan on a track; returns the track, its parts, and the largest heading in radians."""
    body = random_body(rng)
    guard = rng.random() < _GUARD_SHARE[violent]
    opening = FIGHTING if guard else NEUTRAL
    left, right = STAGGERED if guard and rng.random() < 0.7 else LEVEL
    wander = rng.uniform(-0.03, 0.03, 4)
    stance = [
        (left[0] + wander[0], left[1] + abs(wander[1])),
        (right[0] + wander[2], right[1] + abs(wander[3])),
    ]
    k = Track(body, opening, stance)
    k.mark(_resting(guard))
    k.key(2.0 + 10.0 * rng.random() ** 2)
    parts: list[CaptionedAction] = []
    for action in plan:
        k.flip = bool(rng.random() < 0.5)
        pace = pick(rng, action.paces)
        low, high = _TEMPO[action.violent][pace]
        cue = Cue(rng, guard if rng.random() < 0.8 else not guard, 0.92 + 0.10 * rng.random(), pace)
        k.tempo = low + (high - low) * rng.random()
        if action.violent:
            k.mark(_resting(cue.guard))
            settle(k, cue, 5.0)
        k.mark(NUMBER[action.name])
        words = action.perform(k, cue)
        parts.append(CaptionedAction(action, "left" if k.flip else "right", pace, words))
        k.tempo = 1.0
        if action.violent:
            k.mark(_resting(cue.guard))
        k.key(1.0 + 4.0 * rng.random())
    k.key(1.0 + 6.0 * rng.random())
    if k.now < MIN_FRAMES + 2:
        k.key(MIN_FRAMES + 2 - k.now + 8.0 * rng.random())
    times, spin = np.array(k.times), np.array(k.values)[:, 2]
    turned = np.cumsum(np.diff(times) * (spin[1:] + spin[:-1]) / (2.0 * FPS))
    return k, parts, float(np.abs(turned).max())


def _resting(guard: bool) -> int:
    return NUMBER["guard" if guard else "stand still"]


def compose(rng: np.random.Generator, *, violent: bool, plan: list[Action] | None = None) -> SyntheticClip:
    """Compose one clip; samples again until it fits into 196 frames and does not turn too far.

    violent: whether it contains a violent action. plan: play these actions instead of sampling them.
    """
    while True:
        track, parts, turned = _write(rng, plan or _plan(rng, violent=violent), violent=violent)
        frames = int(track.now)
        if frames <= MAX_FRAMES and turned <= _LONGEST_TURN:
            break
    joints = play(track, frames + 1, rng)
    starts = np.array([round(moment) for moment, _ in track.labels])
    which = np.searchsorted(starts, np.arange(frames), side="right") - 1
    labels = np.array([label for _, label in track.labels], np.int16)[which]
    captions = describe(parts, rng)
    return SyntheticClip(joints, labels, captions, tuple(part.action.name for part in parts), violent)
