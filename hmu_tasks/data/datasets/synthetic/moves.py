"""Actions of the grammar: a performance written on a track, and sentences that describe it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hmu_tasks.data.datasets.synthetic.track import Pose, Track
from hmu_tasks.data.datasets.synthetic.wordings import WORDINGS
from hmu_tasks.data.datasets.synthetic.wordings.wording import Wording

T = TypeVar("T")
Words = dict[str, str]

HANG = (0.02, -0.97, 0.02)  # the free leg, hanging
ARMS: Pose = {"lh": (0.13, -0.93, 0.10), "rh": (0.13, -0.93, 0.10), "le": 0.0, "re": 0.0}
GUARD: Pose = {"lh": (-0.18, 0.02, 0.44), "rh": (-0.18, 0.00, 0.36), "le": 0.10, "re": 0.10}
UPRIGHT: Pose = {
    "ahead": 0.0,
    "aside": 0.0,
    "spin": 0.0,
    "px": 0.0,
    "pz": 0.0,
    "py": 1.0,
    "pp": 0.0,
    "pl": 0.0,
    "pw": 0.0,
    "sp": 0.0,
    "sl": 0.0,
    "sw": 0.0,
    "hp": 0.0,
    "hw": 0.0,
    "lw": 0.0,
    "rw": 0.0,
    "lk": 0.0,
    "rk": 0.0,
    "lt": 0.0,
    "rt": 0.0,
    "lf": HANG,
    "rf": HANG,
}
NEUTRAL: Pose = {**UPRIGHT, **ARMS}
FIGHTING: Pose = {**UPRIGHT, **GUARD, "py": 0.965, "sp": 0.08}
LEVEL = ((0.0, 0.10), (0.0, 0.10))
STAGGERED = ((0.17, 0.12), (-0.17, 0.13))  # left foot ahead


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Sample one option uniformly; much faster than `rng.choice` on short lists."""
    return options[int(rng.random() * len(options))]


@dataclass(frozen=True)
class Cue:
    """Parameters of one performance.

    guard: start with raised fists; size: amplitude, about 1; pace: "slow", "" or "fast"; rng: for everything else.
    """

    rng: np.random.Generator
    guard: bool
    size: float
    pace: str

    @property
    def ready(self) -> Pose:
        """Posture to start from and to return to."""
        return FIGHTING if self.guard else NEUTRAL

    def near(self, low: float, high: float) -> float:
        """Uniform sample between two numbers."""
        return low + (high - low) * self.rng.random()

    def chance(self, share: float) -> bool:
        """True with probability `share`."""
        return bool(self.rng.random() < share)


@dataclass(frozen=True)
class Action:
    """One entry of the grammar.

    perform: writes the motion (for the right side) and returns words for the sentences of its `wording`.
    weight: relative sampling frequency. paces: speeds it may have.
    """

    name: str
    violent: bool
    perform: Callable[[Track, Cue], Words]
    weight: float = 1.0
    paces: tuple[str, ...] = ("slow", "", "", "fast")

    @property
    def wording(self) -> Wording:
        """Its sentences."""
        return WORDINGS[self.name]


COUNTS = {
    1: ("", "", "once", "one time"),
    2: ("twice", "two times"),
    3: ("three times",),
    4: ("four times",),
}


def times(cue: Cue, count: int) -> str:
    """A phrase for a number of repetitions."""
    return pick(cue.rng, COUNTS[count])


def settle(k: Track, cue: Cue, frames: float = 7.0) -> None:
    """Move to the cue's starting posture, feet included."""
    left, right = STAGGERED if cue.guard else LEVEL
    k.stand(left, right)
    k.key(frames, cue.ready)
