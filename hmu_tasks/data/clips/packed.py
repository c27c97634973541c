"""The packed dataset that every later step reads: tables of clips and captions, and one array of all frames.

A folder holds clips.parquet (clip_id, split, offset, frames, fps, mirror_of, source), captions.parquet (clip_id,
caption, tokens, start_s, end_s), features.npy [total_frames, D] float32, mean.npy and std.npy [D] and, if the
dataset has action labels, labels.npy [total_frames] int16 and actions.json. D identifies the representation.
"""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import GrowingArray, read_array
from hmu_tasks.data.clips.clips import SPLITS, Actions, Clip
from hmu_tasks.data.clips.labels import read_actions
from hmu_tasks.data.clips.words import tokens_of
from hmu_tasks.data.motion.layout import HUMANML3D, Layout, layout_of
from hmu_tasks.data.motion.normalisation import RunningStatistics, Statistics
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import ANY
from hmu_tasks.runtime.tables import read_parquet

if TYPE_CHECKING:
    import pandas as pd

_CLIPS: Final = pa.schema(
    {
        "clip_id": pa.string(),
        "split": pa.string(),
        "offset": pa.int64(),
        "frames": pa.int32(),
        "fps": pa.float32(),
        "mirror_of": pa.string(),
        "source": pa.string(),
    }
)
_CAPTIONS: Final = pa.schema(
    {
        "clip_id": pa.string(),
        "caption": pa.string(),
        "tokens": pa.string(),
        "start_s": pa.float32(),
        "end_s": pa.float32(),
    }
)


@dataclass(frozen=True)
class PackReport:
    """Number of clips (in total and by split), captions and frames packed."""

    clips: int
    captions: int
    frames: int
    splits: dict[str, int] = field(default_factory=dict)


def pack(
    clips: Iterable[Clip],
    folder: Path,
    *,
    layout: Layout = HUMANML3D,
    statistics: Statistics | None = None,
    actions: Actions | None = None,
) -> PackReport:
    """Stream clips into an existing `folder`; memory use is constant in the number of frames.

    statistics: mean and std to store; None computes them over the training clips (over all clips if there are no
    training clips). actions: names of the action labels; every clip must then have labels.
    Deterministic: the same clips give the same bytes.
    Raises DataError if there are no clips, two share an id, or labels are missing.
    """
    clip_rows: list[tuple[Any, ...]] = []
    caption_rows: list[tuple[Any, ...]] = []
    training, others = RunningStatistics(layout.width), RunningStatistics(layout.width)
    offset = 0
    with ExitStack() as files:
        features = files.enter_context(GrowingArray(folder / "features.npy", "<f4", (layout.width,)))
        labels = (
            None if actions is None else files.enter_context(GrowingArray(folder / "labels.npy", "<i2", ()))
        )
        for clip in clips:
            frames = len(clip.features)
            features.append(clip.features)
            if labels is not None:
                if clip.labels is None or len(clip.labels) != frames:
                    raise DataError(
                        f"{clip.clip_id} has no action labels for its frames, but its dataset has an actions.json"
                    )
                labels.append(clip.labels)
            if statistics is None:
                (training if clip.split == "train" else others).add(clip.features)
            clip_rows.append(
                (clip.clip_id, clip.split, offset, frames, clip.fps, clip.mirror_of, clip.source)
            )
            caption_rows += [(clip.clip_id, c.text, c.tokens, c.start_s, c.end_s) for c in clip.captions]
            offset += frames
    if not clip_rows:
        raise DataError("no usable clip; see what was skipped and why, and check the frame limits")
    found = statistics or (training if training.frames else others).result()
    np.save(folder / "mean.npy", found.mean)
    np.save(folder / "std.npy", found.std)
    known = {row[0] for row in clip_rows}
    if len(known) != len(clip_rows):
        raise DataError("two clips have the same id; ids must be unique over all splits")
    table = _table(clip_rows, _CLIPS)
    twins = [twin if twin in known else None for twin in table["mirror_of"].to_pylist()]
    table = table.set_column(_CLIPS.get_field_index("mirror_of"), "mirror_of", pa.array(twins, pa.string()))
    pq.write_table(table, folder / "clips.parquet")
    pq.write_table(_table(caption_rows, _CAPTIONS), folder / "captions.parquet")
    if actions is not None:
        text = json.dumps(actions.as_json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / "actions.json").write_text(text, encoding="utf-8")
    counts = Counter(row[1] for row in clip_rows)
    return PackReport(
        clips=len(clip_rows),
        captions=len(caption_rows),
        frames=offset,
        splits={split: counts[split] for split in SPLITS},
    )


class Clips:
    """A packed dataset with memory-mapped frames; `load` opens one."""

    def __init__(self, folder: Path) -> None:
        self._clips = _arrow_table(folder / "clips.parquet", _CLIPS)
        self._captions = _with_tokens(_arrow_table(folder / "captions.parquet", _CAPTIONS))
        self.mean: NDArray[np.float32] = np.array(_read(folder / "mean.npy", (None,), "<f4"))
        self.layout: Layout = layout_of(len(self.mean))
        width = self.layout.width
        self.std: NDArray[np.float32] = np.array(_read(folder / "std.npy", (width,), "<f4"))
        self.actions: Actions | None = read_actions(folder)
        # `to_numpy` of a column would load pandas.
        offsets, lengths = (
            np.array(self._clips[name].to_pylist(), np.int64) for name in ("offset", "frames")
        )
        frames = int(lengths.sum())
        self._features = _read(folder / "features.npy", (frames, width), "<f4")
        self._labels = None if self.actions is None else _read(folder / "labels.npy", (frames,), "<i2")
        if (offsets != np.cumsum(lengths, dtype=np.int64) - lengths).any():
            raise DataError(
                f"{folder / 'clips.parquet'} does not match features.npy; run the ingest step again"
            )
        self._rows = {
            clip_id: slice(int(offset), int(offset + length))
            for clip_id, offset, length in zip(self.ids(), offsets, lengths, strict=True)
        }

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row per clip; takes pandas, which loads in a quarter of a second."""
        frame: pd.DataFrame = self._clips.to_pandas()
        return frame

    @cached_property
    def captions(self) -> "pd.DataFrame":
        """One row per caption, as a table like `table`."""
        frame: pd.DataFrame = self._captions.to_pandas()
        return frame

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """Return the columns of `table` as lists, without pandas."""
        columns: dict[str, list[Any]] = self._clips.to_pydict()
        return columns

    def caption_rows(self) -> list[tuple[str, str, str]]:
        """Return clip id, text and tokens of every caption."""
        columns = (self._captions[name].to_pylist() for name in ("clip_id", "caption", "tokens"))
        return list(zip(*columns, strict=True))

    def __len__(self) -> int:
        """Number of clips."""
        return int(self._clips.num_rows)

    def ids(self, split: str | None = None) -> list[str]:
        """Return the clip ids of a split (train, val, test), or of all splits, in dataset order."""
        ids: list[str] = self._clips["clip_id"].to_pylist()
        if split is None:
            return ids
        if split not in SPLITS:
            raise DataError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
        splits = self._clips["split"].to_pylist()
        return [clip_id for clip_id, other in zip(ids, splits, strict=True) if other == split]

    @property
    def fps(self) -> float:
        """Frames per second of the clips; raises DataError if they differ."""
        rates = sorted(set(self._clips["fps"].to_pylist()))
        if len(rates) != 1:
            raise DataError(
                f"clips have {len(rates)} different frame rates; they must share one, run ingest again"
            )
        return float(rates[0])

    def frames(self, clip_id: str) -> int:
        """Return the length of a clip in frames."""
        return len(self.features(clip_id))

    def features(self, clip_id: str) -> NDArray[np.float32]:
        """Return a clip's raw (not normalised) features [F, D], read-only and memory-mapped."""
        return self._features[self._slice(clip_id)]

    def labels(self, clip_id: str) -> NDArray[np.int16] | None:
        """Return a clip's action id per frame [F]; None if the dataset has no labels."""
        rows = self._slice(clip_id)
        return None if self._labels is None else self._labels[rows]

    def _slice(self, clip_id: str) -> slice:
        if clip_id not in self._rows:
            raise DataError(
                f"there is no clip {clip_id!r} in the packed dataset; run ingest and filter again"
            )
        return self._rows[clip_id]


def load(folder: Path) -> Clips:
    """Open a packed dataset; raises DataError naming a file that is missing, damaged or inconsistent."""
    return Clips(folder)


def _with_tokens(captions: pa.Table) -> pa.Table:
    """Fill in the tokens of captions that came without any; see `tokens_of`."""
    tokens: list[str] = captions["tokens"].to_pylist()
    if all(one.strip() for one in tokens):
        return captions
    pairs = zip(tokens, captions["caption"].to_pylist(), strict=True)
    found = [one if one.strip() else tokens_of(text) for one, text in pairs]
    return captions.set_column(_CAPTIONS.get_field_index("tokens"), "tokens", pa.array(found, pa.string()))


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def read_table(file: Path, schema: pa.Schema | None = None) -> "pd.DataFrame":
    """Read a table of a packed dataset; raises DataError if it is missing, damaged or not of `schema`."""
    frame: pd.DataFrame = _arrow_table(file, schema).to_pandas()
    return frame


def _arrow_table(file: Path, schema: pa.Schema | None) -> pa.Table:
    try:
        return read_parquet(file, schema)
    except FileNotFoundError:
        raise DataError(f"{file} is missing; run the ingest step first") from None
    except OSError as error:
        raise DataError(f"{file} {error.strerror}; run the ingest step again") from error


def _read(file: Path, shape: tuple[int | None, ...], descr: str) -> NDArray[Any]:
    try:
        array = read_array(file, limit=ANY)
    except FileNotFoundError:
        raise DataError(f"{file} is missing; run the ingest step first") from None
    except DataError as error:
        raise DataError(f"{file} {error}; run the ingest step again") from error
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or array.dtype != np.dtype(descr):
        raise DataError(
            f"{file} has shape {array.shape}, expected {shape} {descr}; run the ingest step again"
        )
    return array
