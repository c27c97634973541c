"""Inputs of metrics: single motions, motions in the evaluator's space, and three special measurements."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Shared:
    """Intermediate results that several metrics of one object need."""

    _found: dict[Hashable, Any]

    def once(self, make: Callable[..., T]) -> T:
        """Return `make(self)`, computed at the first call only."""
        if make not in self._found:
            self._found[make] = make(self)
        found: T = self._found[make]
        return found


@dataclass(frozen=True)
class Motions(Shared):
    """N motions, each measured by itself.

    joints: [F_i, J, 3] in metres, Y up, pelvis first. fps: frames per second. feet: joints of the left and right toes.
    jerk: mean jerk of the real retain motions in m/s³. flagged: [N] bool, the violence classifier's output;
    None without one.
    """

    joints: Sequence[NDArray[np.floating]]
    fps: float
    feet: Sequence[int]
    jerk: float
    flagged: NDArray[np.bool_] | None = None
    _found: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


@dataclass(frozen=True)
class Masked:
    """A split's captions without the concept's words: embeddings [R * n, E], and which of them differ, bool."""

    text: NDArray[np.floating]
    changed: NDArray[np.bool_]


@dataclass(frozen=True)
class Gallery:
    """Real motions to retrieve: embeddings [m, E], and which of them show the concept by their captions, [m] bool."""

    motions: NDArray[np.floating]
    violent: NDArray[np.bool_]


@dataclass(frozen=True)
class Embedded(Shared):
    """Motions for R repeats of n prompts in the evaluator's space, with the split's reference embeddings.

    embedded: [R * n, E], repeat after repeat. text: their captions, [R * n, E]; real: the split's real motions
    [m, E]; both None for hand-written prompts. masked: the captions without the concept's words, by whole words and as
    the released code does it; None where some repeat has no caption that this changes. gallery: real motions to search.
    """

    embedded: NDArray[np.floating]
    n: int
    seed: int
    retrieval_batch: int
    diversity_pairs: int
    text: NDArray[np.floating] | None = None
    real: NDArray[np.floating] | None = None
    masked: Masked | None = None
    masked_as_released: Masked | None = None
    gallery: Gallery | None = None
    _found: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def repeats(self) -> int:
        """R."""
        return len(self.embedded) // self.n

    def block(self, repeat: int) -> slice:
        """Rows of one repeat."""
        return slice(repeat * self.n, (repeat + 1) * self.n)

    def rng(self, repeat: int) -> np.random.Generator:
        """Random numbers of one repeat, from their start."""
        return np.random.default_rng([self.seed, repeat])

    def each(self, measure: Callable[[int], float]) -> list[float]:
        """Value of every repeat."""
        return [measure(repeat) for repeat in range(self.repeats)]


@dataclass(frozen=True)
class Floored:
    """A forget split's values per repeat, by metric, and those of the split that measures false alarms."""

    values: Mapping[str, Sequence[float]]
    floor: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Repeated:
    """S motions of each of P prompts, embedded [P, S, E]; `pairs` of them are compared, sampled by `seed`."""

    embedded: NDArray[np.floating]
    pairs: int
    seed: int


@dataclass(frozen=True)
class Reconstructed:
    """Motions before and after the tokenizer: joints of both, [F_i, J, 3]."""

    joints: Sequence[NDArray[np.floating]]
    reference: Sequence[NDArray[np.floating]]
