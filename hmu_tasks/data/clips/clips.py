"""What a dataset yields: clips with their captions, and what was left out and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion.skeleton import FPS

SPLITS: Final = ("train", "val", "test")
OnBad = Literal["error", "skip"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Caption:
    """A sentence, its tokens ("word/POS word/POS ..."), and the stretch of the raw motion it describes."""

    text: str
    tokens: str
    start_s: float = 0.0
    end_s: float = 0.0  # both 0: the whole motion; only the end 0: to the motion's end


@dataclass(frozen=True)
class Clip:
    """One motion with at least one caption: features [F, D] float32, labels [F] int16 where there are any.

    source is the id of the raw motion; mirror_of is the clip whose left-right mirror image this is.
    """

    clip_id: str
    split: str
    source: str
    features: NDArray[np.float32]
    captions: tuple[Caption, ...]
    mirror_of: str | None = None
    labels: NDArray[np.int16] | None = None
    fps: float = FPS


@dataclass(frozen=True)
class Skipped:
    """An id that was left out, the reason in a few fixed words, and the particulars.

    damaged: whether it should have been usable; False for the length rule, which selects.
    """

    id: str
    reason: str
    detail: str
    damaged: bool = True


@dataclass(frozen=True)
class Actions:
    """Names of the action labels and whether each one is violent."""

    names: tuple[str, ...]
    violent: tuple[bool, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the content of actions.json."""
        return {"names": list(self.names), "violent": list(self.violent)}
