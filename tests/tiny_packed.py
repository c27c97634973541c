"""A tiny packed dataset: 16 standing clips with mirrored twins, captions that suit the concept of violence."""

from pathlib import Path

import numpy as np
import pandas as pd

from hmu_tasks.data.motion.features import from_joints
from hmu_tasks.data.motion.skeleton import PARENTS, RAW_OFFSETS

FRAMES = 44
SAID = {
    "kick": [
        ("A man Kicks the bag.", "a/DET man/NOUN kick/VERB the/DET bag/NOUN"),
        ("he is angry", "he/PRON is/AUX angry/ADJ"),
    ],
    "walk": [
        ("a person walks", "a/DET person/NOUN walk/VERB"),
        ("someone strolls on", "someone/PRON stroll/VERB on/ADP"),
    ],
}
ORIGINALS = [
    ("000001", "train", "kick"),
    ("000002", "train", "walk"),
    ("000003", "train", "walk"),
    ("000004", "train", "walk"),
    ("000005", "val", "kick"),
    ("000006", "val", "walk"),
    ("000007", "test", "kick"),
    ("000008", "test", "walk"),
]


def standing(frames: int = FRAMES) -> np.ndarray:
    """Features [F, 263] of a person of ordinary build who stands and slowly bobs."""
    joints = np.zeros((22, 3))
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            joints[joint] = joints[parent] + 0.2 * RAW_OFFSETS[joint]
    bob = 0.01 * np.sin(np.arange(frames + 1) / 5)
    motion = joints + np.array([0, 1, 0]) * (1 + bob)[:, None, None]
    return from_joints(motion)


def tables(said=SAID) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Clips and captions in the packed format."""
    rows, captions = [], []
    for name, split, kind in ORIGINALS:
        for clip_id, mirror_of in ((name, None), (f"M{name}", name)):
            rows.append((clip_id, split, len(rows) * FRAMES, FRAMES, 20.0, mirror_of, clip_id))
            captions += [(clip_id, text, tokens, 0.0, 0.0) for text, tokens in said[kind]]
    clips = pd.DataFrame(rows, columns=["clip_id", "split", "offset", "frames", "fps", "mirror_of", "source"])
    clips = clips.astype({"offset": "int64", "frames": "int32", "fps": "float32"})
    return clips, pd.DataFrame(captions, columns=["clip_id", "caption", "tokens", "start_s", "end_s"])


def write(folder: Path, clips: pd.DataFrame, captions: pd.DataFrame, features: np.ndarray) -> Path:
    """Write the three files that filter and validate read."""
    folder.mkdir(parents=True, exist_ok=True)
    clips.to_parquet(folder / "clips.parquet", index=False)
    captions.to_parquet(folder / "captions.parquet", index=False)
    np.save(folder / "features.npy", features.astype(np.float32))
    return folder


def all_features() -> np.ndarray:
    """Features of all clips end to end."""
    return np.tile(standing(), (2 * len(ORIGINALS), 1)).astype(np.float32)
