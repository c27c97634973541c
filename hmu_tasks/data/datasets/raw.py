"""Reader of a raw folder: features ID.npy, texts ID.txt, and the split lists {train,val,test}.txt.

Selection follows the official loader (Guo et al. 2022; released MoMask code, data/t2m_dataset.py): motions of
`min_frames` or more and fewer than `max_frames` frames are kept; captions with times make sub-clips of frames
int(start * fps) to int(end * fps) under the same limits. Four deliberate differences: sub-clips get the id
"ID@first-end" instead of a random letter, captions of the same segment share one sub-clip, a start without an end
extends to the end of the motion (as in HMU's fork) instead of being dropped, and times are converted at the data's own
frame rate instead of always 20 fps.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import as_features, read_array
from hmu_tasks.data.clips.clips import SPLITS, Actions, Caption, Clip, OnBad, Skipped
from hmu_tasks.data.clips.labels import read_actions, read_labels
from hmu_tasks.data.datasets.caption_files import parse_line, read_lines
from hmu_tasks.data.datasets.links import check_inside
from hmu_tasks.data.motion.layout import HUMANML3D, Layout
from hmu_tasks.data.motion.normalisation import Statistics
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.runtime.progress import Progress

NAMED = 5  # ids listed per reason


@dataclass(frozen=True)
class Source:
    """Location and format of the files of a raw folder.

    folder: holds the split lists, Mean.npy and Std.npy. motions, texts: folders of ID.npy and ID.txt.
    bare_captions: a text line may be a caption alone. widths: hints for features of other widths, for error messages.
    converter: of motions that are no features, (files, longest) -> for each in order features, a number of frames that
    is out of the limits, or an error.
    """

    folder: Path
    motions: Path
    texts: Path
    layout: Layout = HUMANML3D
    fps: float = 20.0
    bare_captions: bool = False
    widths: Mapping[int, str] = field(default_factory=dict)
    converter: Callable[[Sequence[Path], int], Iterator[Any]] | None = None


class RawFolder:
    """A raw folder: iterate with `clips()`; afterwards `skipped` lists what was skipped and why.

    on_bad: "skip" records damaged or incomplete ids and continues without them; "error" also reads to the end, but
    yields no further clips and raises a DataError that counts all faults by reason. Motions and sub-clips outside the
    length limits are a selection, not damage: always recorded, never an error. `converted` lists ids by stored dtype,
    if not float32. An id or link that leads out of the folder is always an error.
    Raises DataError if a folder or a split file is missing, ConfigError for invalid arguments.
    """

    def __init__(
        self, source: Source, *, min_frames: int = 40, max_frames: int = 200, on_bad: OnBad = "error"
    ) -> None:
        if not 2 <= min_frames < max_frames:
            raise ConfigError(f"min_frames {min_frames} must be at least 2 and below max_frames {max_frames}")
        if on_bad not in ("error", "skip"):
            raise ConfigError(f"on_bad is {on_bad!r}; choose one of error, skip")
        self.source = source
        self.layout = source.layout
        self.min_frames = min_frames
        self.max_frames = max_frames
        self.on_bad = on_bad
        self.skipped: list[Skipped] = []
        self.converted: dict[str, list[str]] = {}
        self.actions: Actions | None = read_actions(source.folder)
        self._labels = source.folder / "labels"
        self._roots = {part: part.resolve() for part in (source.motions, source.texts, self._labels)}
        self._listed = {split: self._read_split(split) for split in SPLITS}
        self._known = {raw_id: split for split, ids in self._listed.items() for raw_id in ids}
        self._stopped = False
        self._converted: Iterator[Any] = iter(())

    def __len__(self) -> int:
        """Number of ids in the split files."""
        return sum(map(len, self._listed.values()))

    def statistics(self) -> Statistics | None:
        """Return the folder's own Mean.npy and Std.npy, or None if it has neither."""
        files = [self.source.folder / "Mean.npy", self.source.folder / "Std.npy"]
        if not any(file.exists() for file in files):
            return None
        width = self.source.layout.width
        values = []
        for file in files:
            try:
                array = read_array(file)
            except (DataError, FileNotFoundError) as error:
                raise DataError(
                    f"{file} cannot be used: {error}; delete both to have them computed"
                ) from error
            if array.shape != (width,) or not np.isfinite(array).all():
                raise DataError(f"{file} must hold {width} finite numbers; delete both to have them computed")
            values.append(np.array(array, dtype=np.float32))
        if (values[1] <= 0).any():
            raise DataError(f"{files[1]} must be positive everywhere; delete both to have them computed")
        return Statistics(mean=values[0], std=values[1])

    def clips(self, progress: Progress | None = None) -> Iterator[Clip]:
        """Yield all clips one at a time: train, val, test, each in the order of its split file."""
        self.skipped.clear()
        self.converted.clear()
        self._stopped = False
        seen: set[str] = set()
        clip_ids: set[str] = set()
        done, total = 0, len(self)
        self._converted = self._convert()
        for split, ids in self._listed.items():
            for raw_id in ids:
                if raw_id in seen:
                    self._bad(raw_id, "listed twice", f"{split}.txt names it again; keep it in one split")
                else:
                    seen.add(raw_id)
                    twin = self._mirrored(raw_id, raw_id)
                    if twin is not None and self._known[twin] != split:
                        self._bad(raw_id, "twin apart", f"{split}.txt names it, but not its original {twin}")
                        self._skip_converted()
                        continue
                    for clip in self._clips_of(raw_id, split):
                        if clip.clip_id in clip_ids:
                            self._bad(raw_id, "listed twice", f"two clips would be called {clip.clip_id}")
                            continue
                        clip_ids.add(clip.clip_id)
                        if not self._stopped:
                            yield clip
                done += 1
                if progress is not None:
                    progress(done, total)
        if self._stopped:
            raise DataError(refusal(self.source.folder, f"{len(self)} listed ids", self.skipped))

    def _clips_of(self, raw_id: str, split: str) -> Iterator[Clip]:
        motion = self._inside(self.source.motions, raw_id, ".npy")
        text = self._inside(self.source.texts, raw_id, ".txt")
        try:
            array = read_array(motion) if self.source.converter is None else self._next_converted()
            if isinstance(array, int):
                self._fits(raw_id, array)
                return None
            features = as_features(array, self.source.layout.width)
        except FileNotFoundError:
            return self._bad(raw_id, "no motion", f"{self._name(motion)} is missing")
        except DataError as error:
            return self._bad(raw_id, "bad motion", f"{self._name(motion)} {error}{self._hint(motion)}")
        if len(features) < 2:
            return self._bad(raw_id, "one frame", f"{self._name(motion)} holds a pose, not a motion")
        if array.dtype != np.float32:
            self.converted.setdefault(array.dtype.name, []).append(raw_id)
        if not self._fits(raw_id, len(features)):
            return None
        captions = self._captions(raw_id, text)
        labels = None
        if self.actions is not None and captions:
            file = self._inside(self._labels, raw_id, ".npy")
            try:
                labels = read_labels(file, frames=len(features), actions=len(self.actions.names))
            except DataError as error:
                return self._bad(raw_id, "bad labels", f"{self._name(file)} {error}")
        for (first, end), group in _segments(captions, len(features), self.source.fps).items():
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
                    fps=self.source.fps,
                )
        return None

    def _convert(self) -> Iterator[Any]:
        """Start converting the motions of all ids, each once, in the order of the split files."""
        if self.source.converter is None:
            return iter(())
        ids = dict.fromkeys(raw_id for listed in self._listed.values() for raw_id in listed)
        files = [self._inside(self.source.motions, raw_id, ".npy") for raw_id in ids]
        return self.source.converter(files, self.max_frames)

    def _next_converted(self) -> NDArray[Any] | int:
        found: NDArray[Any] | int | Exception = next(self._converted)
        if isinstance(found, Exception):
            raise found
        return found

    def _skip_converted(self) -> None:
        next(self._converted, None)

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
                    captions.append(parse_line(line, bare=self.source.bare_captions))
                except DataError as error:
                    self._bad(raw_id, "bad text line", f"{self._name(file)} line {number} {error}")
        if not captions:
            self._bad(raw_id, "no caption", f"{self._name(file)} has no usable line")
        return captions

    def _fits(self, clip_id: str, frames: int) -> bool:
        fault = wrong_length(clip_id, frames, self.min_frames, self.max_frames)
        self.skipped += [fault] if fault else []
        return fault is None

    def _mirrored(self, raw_id: str, clip_id: str) -> str | None:
        """Id of the clip that this one mirrors: file names of twins are the original's with an M in front."""
        folder, slash, name = raw_id.rpartition("/")
        original = f"{folder}{slash}{name[1:]}"
        if not name.startswith("M") or original not in self._known:
            return None
        return original + clip_id[len(raw_id) :]

    def _bad(self, raw_id: str, reason: str, detail: str) -> None:
        self._stopped = self.on_bad == "error"
        self.skipped.append(Skipped(raw_id, reason, detail))

    def _hint(self, motion: Path) -> str:
        """What a motion of an unexpected width probably is, if known."""
        try:
            array = read_array(motion)
        except DataError:
            return ""
        known = self.source.widths.get(array.shape[1]) if array.ndim == 2 else None
        return f": {known}" if known else ""

    def _name(self, file: Path) -> str:
        return file.relative_to(self.source.folder).as_posix()

    def _inside(self, part: Path, raw_id: str, ending: str) -> Path:
        """Return the file of an id; raises DataError for a link that leads out of its folder, whatever `on_bad` is."""
        file = part / f"{raw_id}{ending}"
        check_inside(file, self._roots[part])
        return file

    def _read_split(self, split: str) -> list[str]:
        file = self.source.folder / f"{split}.txt"
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


def wrong_length(clip_id: str, frames: int, min_frames: int, max_frames: int) -> Skipped | None:
    """Reason why a clip is skipped; None if it has at least `min_frames` and fewer than `max_frames`."""
    if frames < min_frames:
        return Skipped(clip_id, "too short", f"{frames} frames; the minimum is {min_frames}", damaged=False)
    if frames >= max_frames:
        return Skipped(
            clip_id, "too long", f"{frames} frames; the maximum is {max_frames - 1}", damaged=False
        )
    return None


def refusal(folder: Path, read: str, skipped: Sequence[Skipped]) -> str:
    """Message of an ingest that stops at damaged clips: counts and examples by reason, and what to do.

    read: what was read, such as "32 listed ids".
    """
    damaged = [entry for entry in skipped if entry.damaged]
    lines = [f"{folder}: {len(damaged)} faults in {read}; nothing was ingested"]
    for reason, count in Counter(entry.reason for entry in damaged).items():
        lines.append(f"  {reason}: {count}")
        examples = [entry for entry in damaged if entry.reason == reason][:NAMED]
        lines += [f"    {entry.id}: {entry.detail}" for entry in examples]
        lines += ["    …"] if count > NAMED else []
    lines.append(
        "Repair these, remove them from the split lists, or set ingest.on_bad: skip to continue without "
        "them; data/clips/ingest.json then lists them all"
    )
    return "\n".join(lines)


def _segments(
    captions: list[Caption], frames: int, fps: float
) -> dict[tuple[int, int | None], list[Caption]]:
    """Group captions by the frames [first, end) they describe; (0, None) is the whole motion."""
    groups: dict[tuple[int, int | None], list[Caption]] = {}
    for caption in captions:
        segment: tuple[int, int | None] = (0, None)
        if caption.start_s or caption.end_s:
            end = int(caption.end_s * fps) if caption.end_s else frames
            segment = (int(caption.start_s * fps), min(end, frames))
        groups.setdefault(segment, []).append(caption)
    return groups
