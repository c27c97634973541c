"""Tables that the data contracts are checked on: one row per clip, caption or listed id, with derived columns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmu_tasks.data.clips.arrays import read_array
from hmu_tasks.data.clips.words import words_of
from hmu_tasks.data.motion.layout import DIMENSIONS, layout_of
from hmu_tasks.data.motion.recovery import to_joints
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import ANY
from hmu_tasks.runtime.progress import Progress

CHUNK_FRAMES = 4096


def clip_table(clips: pd.DataFrame, captions: pd.DataFrame) -> pd.DataFrame:
    """Clips with columns derived from other rows: gap to the previous clip, captions, the twin's presence and split."""
    table = clips.copy()
    ends = clips["offset"] + clips["frames"]
    table["gap"] = clips["offset"] - ends.shift(1, fill_value=0)
    table["captions"] = clips["clip_id"].map(captions["clip_id"].value_counts()).fillna(0).astype(int)
    splits = clips.drop_duplicates("clip_id").set_index("clip_id")["split"]
    mirrored = clips["mirror_of"].notna()
    twin_split = clips["mirror_of"].map(splits)
    table["twin_present"] = ~mirrored | twin_split.notna()
    table["twin_same_split"] = ~mirrored | twin_split.isna() | (twin_split == clips["split"])
    return table


def caption_table(captions: pd.DataFrame, clips: pd.DataFrame, *, tagged: bool = True) -> pd.DataFrame:
    """Captions with their counts of letters, words and tokens, and whether their clip exists.

    tagged: whether either all or none of the captions have tokens. If False, or if no caption has any, missing tokens
    are null and break no contract.
    """
    table = captions.copy()
    texts = captions["caption"].fillna("").astype(str)
    tokens = captions["tokens"].fillna("").astype(str)
    table["letters"] = texts.str.count(r"[^\W\d_]")
    table["words"] = [len(words_of(text)) for text in texts]
    there = tokens.str.strip() != ""
    counted = there | (tagged and bool(there.any()))
    table["tokens"] = tokens.where(counted, None)
    table["token_count"] = [len(text.split()) if c else None for text, c in zip(tokens, counted, strict=True)]
    table["clip_known"] = captions["clip_id"].isin(clips["clip_id"])
    return table


def feature_table(
    path: Path,
    clips: pd.DataFrame,
    *,
    width: int = DIMENSIONS,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Statistics of each clip's features, computed in chunks to bound memory.

    path: .npy file [total frames, width], not normalised; clips: columns clip_id, offset, frames.
    Columns: clip_id; missing_frames (beyond the array's end); non_finite (number of NaN or infinite values);
    odd_contacts (number of contacts that are neither 0 nor 1); root_low, root_high (metres); bone_drift (largest
    relative spread of a bone's length within the clip). The last three are null for a clip with non-finite values.
    Raises DataError if the file is damaged or has a wrong shape.
    """
    total = len(_mapped(path, width))
    starts = np.minimum(clips["offset"].to_numpy(np.int64), total)
    stops = np.minimum(starts + clips["frames"].to_numpy(np.int64), total)
    held = stops - starts
    columns: dict[str, Any] = {
        "non_finite": np.zeros(len(clips), np.int64),
        "odd_contacts": np.zeros(len(clips), np.int64),
        "root_low": np.full(len(clips), np.nan),
        "root_high": np.full(len(clips), np.nan),
        "bone_drift": np.full(len(clips), np.nan),
    }
    present = np.flatnonzero(held > 0)
    chunk_of = np.cumsum(held[present]) // CHUNK_FRAMES
    for chunk in np.split(present, np.flatnonzero(np.diff(chunk_of)) + 1):
        if not len(chunk):
            continue
        # Re-open the memory map for each chunk: pages of a long-lived map would accumulate as resident memory.
        features = _mapped(path, width)
        block = np.concatenate([features[starts[i] : stops[i]] for i in chunk])
        first = np.concatenate([[0], np.cumsum(held[chunk])[:-1]])
        for name, values in _chunk_statistics(block, first).items():
            columns[name][chunk] = values
        if progress is not None:
            progress(int(chunk[-1]) + 1, len(clips))
    missing = clips["frames"].to_numpy(np.int64) - held
    return pd.DataFrame({"clip_id": clips["clip_id"].to_numpy(), "missing_frames": missing, **columns})


def split_table(clips: pd.DataFrame, lists: Mapping[tuple[str, str], list[str]]) -> pd.DataFrame:
    """One row per clip or listed id: how often and on which side it is listed, in which split, and its twin's side.

    lists: ids by (split, side), where side is `forget` or `retain`.
    """
    listed = pd.DataFrame(
        [(name, split, side) for (split, side), ids in lists.items() for name in ids],
        columns=["clip_id", "listed_split", "side"],
    )
    count = listed["clip_id"].value_counts()
    known = clips.drop_duplicates("clip_id")[["clip_id", "split", "mirror_of"]]
    table = known.merge(listed.drop_duplicates("clip_id"), on="clip_id", how="outer")
    table["times_listed"] = table["clip_id"].map(count).fillna(0).astype(int)
    table["clip_known"] = table["split"].notna()
    table["split_agrees"] = (
        (table["split"] == table["listed_split"]) | table["split"].isna() | (table["times_listed"] == 0)
    )
    table["forget"] = (table["side"] == "forget").astype(float)
    twin_side = table["mirror_of"].map(table.set_index("clip_id")["side"])
    table["twin_same_side"] = twin_side.isna() | (twin_side == table["side"])
    return table


def _mapped(path: Path, width: int) -> NDArray[Any]:
    features = read_array(path, limit=ANY)  # all clips, read in parts
    if features.ndim != 2 or features.shape[1] != width:
        raise DataError(f"has shape {features.shape}; expected [frames, {width}]")
    return features


def _chunk_statistics(block: NDArray[np.float32], first: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Statistics of the clips that start at rows `first` of `block` [frames, D]."""
    layout = layout_of(block.shape[1])
    bad = ~np.isfinite(block)
    contacts = block[:, layout.contacts]
    odd = (contacts != 0) & (contacts != 1) & np.isfinite(contacts)
    # Bone lengths do not depend on the root path; at the origin no precision is lost to large coordinates.
    block[:, layout.root][:, :3] = 0
    joints = to_joints(block)
    bones = np.linalg.norm(joints[:, 1:] - joints[:, list(layout.skeleton.parents[1:])], axis=-1)
    # 1e-6 m avoids dividing by zero for a bone that has collapsed to a point.
    longest, shortest = np.maximum.reduceat(bones, first), np.maximum(np.minimum.reduceat(bones, first), 1e-6)
    non_finite = np.add.reduceat(bad.sum(1), first)
    whole = non_finite == 0
    height = joints[:, 0, 1]
    return {
        "non_finite": non_finite,
        "odd_contacts": np.add.reduceat(odd.sum(1), first),
        "root_low": np.where(whole, np.minimum.reduceat(height, first), np.nan),
        "root_high": np.where(whole, np.maximum.reduceat(height, first), np.nan),
        "bone_drift": np.where(whole, (longest / shortest).max(1) - 1, np.nan),
    }
