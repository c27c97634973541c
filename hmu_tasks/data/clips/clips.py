"""What a dataset reader yields: clips with captions, and the ids it skipped."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion.skeleton import FPS

SPLITS: Final = ("train", "val", "test")
OnBad = Literal["error", "skip"]


@dataclass(frozen=True)
class Caption:
    """A caption, its tokens ("word/POS word/POS ..."), and the segment of the raw motion it describes."""

    text: str
    tokens: str
    start_s: float = 0.0
    end_s: float = 0.0  # both 0: the whole motion; only end_s 0: to the end of the motion


@dataclass(frozen=True)
class Clip:
    """One motion with at least one caption.

    features: [F, D] float32; labels: [F] int16 action ids, if the dataset has them; source: id of the raw motion;
    mirror_of: id of the clip of which this is the left-right mirror image.
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
    """A skipped id: the reason as one of a fixed set of short phrases, and the details.

    damaged: whether the data is faulty; False for the length limits, which only select.
    """

    id: str
    reason: str
    detail: str
    damaged: bool = True


@dataclass(frozen=True)
class Actions:
    """Names of the action labels, and whether each is violent."""

    names: tuple[str, ...]
    violent: tuple[bool, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the content of actions.json."""
        return {"names": list(self.names), "violent": list(self.violent)}
