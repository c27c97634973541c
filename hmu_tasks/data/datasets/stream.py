"""Clips that a dataset's own reader yields: selection by length, checks, and what was left out."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hmu_tasks.data.clips.arrays import as_features
from hmu_tasks.data.clips.clips import SPLITS, Clip, OnBad, Skipped
from hmu_tasks.data.datasets.raw import refusal, wrong_length
from hmu_tasks.data.motion.layout import Layout
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.progress import Progress


class ClipStream:
    """What a reader yields, in the form of a `RawFolder`: iterate with `clips()`, then read `skipped`.

    on_bad: "error" reads on to the end and raises a DataError that counts what cannot be used by reason; "skip" goes on
    without it.
    """

    actions: Final = None

    def __init__(
        self,
        read: Iterable[Clip | Skipped],
        *,
        folder: Path,
        layout: Layout,
        min_frames: int,
        max_frames: int,
        on_bad: OnBad,
    ) -> None:
        self.read, self.folder, self.layout = read, folder, layout
        self.min_frames, self.max_frames, self.on_bad = min_frames, max_frames, on_bad
        self.skipped: list[Skipped] = []
        self.converted: dict[str, list[str]] = {}

    def statistics(self) -> None:
        """Return None: mean and standard deviation are computed over the training clips."""

    def clips(self, progress: Progress | None = None) -> Iterator[Clip]:
        """Yield the selected clips in the reader's order; without a known total there is no progress."""
        del progress
        seen: set[str] = set()
        stopped, count = False, 0
        for one in self.read:
            count += 1
            found = one if isinstance(one, Skipped) else self._fault(one, seen)
            if found is not None:
                self.skipped.append(found)
                stopped = stopped or (found.damaged and self.on_bad == "error")
            elif isinstance(one, Clip) and not stopped:
                yield one
        if stopped:
            raise DataError(refusal(self.folder, f"{count} motions", self.skipped))

    def _fault(self, clip: Clip, seen: set[str]) -> Skipped | None:
        """Say why a clip is left out; None where it is selected."""
        if clip.clip_id in seen:
            return Skipped(clip.clip_id, "listed twice", "two clips have this id")
        seen.add(clip.clip_id)
        if clip.split not in SPLITS:
            return Skipped(clip.clip_id, "no split", f"{clip.split!r} is none of {', '.join(SPLITS)}")
        if not clip.captions:
            return Skipped(clip.clip_id, "no caption", "it has none")
        try:
            as_features(clip.features, self.layout.width)
        except DataError as error:
            return Skipped(clip.clip_id, "bad motion", str(error))
        return wrong_length(clip.clip_id, len(clip.features), self.min_frames, self.max_frames)
