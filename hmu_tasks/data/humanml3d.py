"""Reader of a raw folder in HumanML3D's layout: new_joint_vecs/ID.npy, texts/ID.txt, {train,val,test}.txt.

Selection follows the official loader (Guo et al. 2022): a motion counts from `min_frames` on and below
`max_frames`; captions with times make sub-clips of frames int(start * 20) to int(end * 20) under the same rule.
Three things differ on purpose: sub-clips get the id "ID@first-end" instead of a random letter, captions of the
same stretch share one sub-clip, and a start without an end reaches to the motion's end instead of being dropped.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from hmu_tasks.data.arrays import read_array, read_features
from hmu_tasks.data.captions import parse_line, read_lines
from hmu_tasks.data.clips import SPLITS, Actions, Caption, Clip, OnBad, Progress, Skipped
from hmu_tasks.data.labels import read_actions, read_labels
from hmu_tasks.data.layout import DIMENSIONS
from hmu_tasks.data.normalisation import Statistics
from hmu_tasks.data.skeleton import FPS
from hmu_tasks.errors import ConfigError, DataError


class RawFolder:
    """A raw folder: iterate with `clips()`; afterwards `skipped` says what was left out and why.

    on_bad: "error" raises DataError at the first damaged file, "skip" goes on and records it. Motions and
    sub-clips outside the length rule are a selection, not damage: they are always recorded, never an error.
    An id or link that leads out of the folder is always an error.
    Raises DataError when the folder or a split file is missing, ConfigError for impossible knobs.
    """

    def __init__(
        self, source: Path, *, min_frames: int = 40, max_frames: int = 200, on_bad: OnBad = "error"
    ) -> None:
        if not 2 <= min_frames < max_frames:
            raise ConfigError(f"min_frames {min_frames} must be at least 2 and below max_frames {max_frames}")
        if on_bad not in ("error", "skip"):
            raise ConfigError(f"on_bad is {on_bad!r}; choose one of error, skip")
        if not source.is_dir():
            raise DataError(f"{source} is no folder; set ingest.source to a folder in HumanML3D's layout")
        self.source = source
        self.min_frames = min_frames
        self.max_frames = max_frames
        self.on_bad = on_bad
        self.skipped: list[Skipped] = []
        self.actions: Actions | None = read_actions(source)
        self._roots = {name: (source / name).resolve() for name in ("new_joint_vecs", "texts", "labels")}
        self._listed = {split: self._read_split(split) for split in SPLITS}
        self._known = {raw_id for ids in self._listed.values() for raw_id in ids}

    def __len__(self) -> int:
        """Count the ids in the split files."""
        return sum(map(len, self._listed.values()))

    def statistics(self) -> Statistics | None:
        """Return the folder's own Mean.npy and Std.npy, or None where it has neither."""
        files = [self.source / "Mean.npy", self.source / "Std.npy"]
        if not any(file.exists() for file in files):
            return None
        values = []
        for file in files:
            try:
                array = read_array(file)
            except (DataError, FileNotFoundError) as error:
                raise DataError(
                    f"{file} cannot be used: {error}; delete both to have them computed"
                ) from error
            if array.shape != (DIMENSIONS,) or not np.isfinite(array).all():
                raise DataError(
                    f"{file} must hold {DIMENSIONS} finite numbers; delete both to have them computed"
                )
            values.append(np.array(array, dtype=np.float32))
        if (values[1] <= 0).any():
            raise DataError(f"{files[1]} must be positive everywhere; delete both to have them computed")
        return Statistics(mean=values[0], std=values[1])

    def clips(self, progress: Progress | None = None) -> Iterator[Clip]:
        """Yield all clips, train before val before test, in the order of the split files, one at a time."""
        self.skipped.clear()
        seen: set[str] = set()
        clip_ids: set[str] = set()
        done, total = 0, len(self)
        for split, ids in self._listed.items():
            for raw_id in ids:
                if raw_id in seen:
                    self._bad(raw_id, "listed twice", f"{split}.txt names it again; keep it in one split")
                else:
                    seen.add(raw_id)
                    for clip in self._clips_of(raw_id, split):
                        if clip.clip_id in clip_ids:
                            self._bad(raw_id, "listed twice", f"two clips would be called {clip.clip_id}")
                            continue
                        clip_ids.add(clip.clip_id)
                        yield clip
                done += 1
                if progress is not None:
                    progress(done, total)

    def _clips_of(self, raw_id: str, split: str) -> Iterator[Clip]:
        motion = self._inside("new_joint_vecs", raw_id, ".npy")
        text = self._inside("texts", raw_id, ".txt")
        try:
            features = read_features(motion, DIMENSIONS)
        except FileNotFoundError:
            return self._bad(raw_id, "no motion", f"{self._name(motion)} is missing")
        except DataError as error:
            return self._bad(raw_id, "bad motion", f"{self._name(motion)} {error}")
        if not self._fits(raw_id, len(features)):
            return None
        captions = self._captions(raw_id, text)
        labels = None
        if self.actions is not None and captions:
            file = self._inside("labels", raw_id, ".npy")
            try:
                labels = read_labels(file, frames=len(features), actions=len(self.actions.names))
            except DataError as error:
                return self._bad(raw_id, "bad labels", f"{self._name(file)} {error}")
        for (first, end), group in _stretches(captions, len(features)).items():
            whole = (first, end) == (0, None)
            clip_id = raw_id if whole else f"{raw_id}@{first}-{end}"
            part = features[first:end]
            if whole or self._fits(clip_id, len(part)):
                yield Clip(
                    clip_id=clip_id,
                    split=split,
                    source=raw_id,
                    features=part,
                    captions=tuple(group),
                    mirror_of=self._mirrored(raw_id, clip_id),
                    labels=None if labels is None else labels[first:end],
                )
        return None

    def _captions(self, raw_id: str, file: Path) -> list[Caption]:
        try:
            lines = read_lines(file)
        except FileNotFoundError:
            self._bad(raw_id, "no text", f"{self._name(file)} is missing")
            return []
        except DataError as error:
            self._bad(raw_id, "bad text", f"{self._name(file)} {error}")
            return []
        captions = []
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    captions.append(parse_line(line))
                except DataError as error:
                    self._bad(raw_id, "bad text line", f"{self._name(file)} line {number} {error}")
        if not captions:
            self._bad(raw_id, "no caption", f"{self._name(file)} has no usable line")
        return captions

    def _fits(self, clip_id: str, frames: int) -> bool:
        if frames < self.min_frames:
            self.skipped.append(
                Skipped(clip_id, "too short", f"{frames} frames; kept from {self.min_frames} on")
            )
        elif frames >= self.max_frames:
            self.skipped.append(
                Skipped(clip_id, "too long", f"{frames} frames; kept below {self.max_frames}")
            )
        else:
            return True
        return False

    def _mirrored(self, raw_id: str, clip_id: str) -> str | None:
        return clip_id[1:] if raw_id.startswith("M") and raw_id[1:] in self._known else None

    def _bad(self, raw_id: str, reason: str, detail: str) -> None:
        if self.on_bad == "error":
            raise DataError(
                f"{self.source}: {raw_id}: {reason}: {detail}. Repair or remove it, or set ingest.on_bad: skip"
            )
        self.skipped.append(Skipped(raw_id, reason, detail))

    def _name(self, file: Path) -> str:
        return file.relative_to(self.source).as_posix()

    def _inside(self, part: str, raw_id: str, ending: str) -> Path:
        """Return the file of an id; DataError where a link leads out of its folder, whatever `on_bad` says."""
        file = self.source / part / f"{raw_id}{ending}"
        try:
            inside = file.resolve().is_relative_to(self._roots[part])
        except (OSError, RuntimeError):  # a link in a circle
            inside = False
        if not inside:
            raise DataError(f"{file} is a link that leads out of its folder; put the file itself there")
        return file

    def _read_split(self, split: str) -> list[str]:
        file = self.source / f"{split}.txt"
        try:
            ids = [line.strip() for line in read_lines(file) if line.strip()]
        except FileNotFoundError:
            raise DataError(
                f"{file} is missing; it must list the ids of the {split} clips, one per line"
            ) from None
        except DataError as error:
            raise DataError(f"{file} {error}") from error
        for raw_id in ids:
            parts = PurePosixPath(raw_id).parts
            foreign = PureWindowsPath(raw_id).anchor or not raw_id.isprintable()
            if foreign or ".." in parts or ".." in raw_id.split("\\"):
                raise DataError(f"{file}: id {raw_id!r} leads out of the folder; remove it from the list")
        return ids


def _stretches(captions: list[Caption], frames: int) -> dict[tuple[int, int | None], list[Caption]]:
    """Group captions by the frames they describe; (0, None) is the whole motion."""
    groups: dict[tuple[int, int | None], list[Caption]] = {}
    for caption in captions:
        stretch: tuple[int, int | None] = (0, None)
        if caption.start_s or caption.end_s:
            end = int(caption.end_s * FPS) if caption.end_s else frames
            stretch = (int(caption.start_s * FPS), min(end, frames))
        groups.setdefault(stretch, []).append(caption)
    return groups
