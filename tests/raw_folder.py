"""A raw folder in HumanML3D's layout that tests fill clip by clip."""

import numpy as np
import pytest

from hmu_tasks.data.datasets.humanml3d import find
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.runtime.errors import DataError

WALK = "a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\n"


def motion(frames=60, seed=0, dtype=np.float32):
    features = np.random.default_rng(seed).normal(0, 1, (frames, 263))
    features[:, -4:] = features[:, -4:] > 0
    return features.astype(dtype)


@pytest.fixture
def raw(tmp_path):
    """A raw folder to which `add` adds clips."""
    folder = tmp_path / "raw folder"
    for part in ("new_joint_vecs", "texts"):
        (folder / part).mkdir(parents=True)
    for split in ("train", "val", "test"):
        (folder / f"{split}.txt").touch()
    return folder


def add(folder, raw_id, *, features=None, text=WALK, split="train"):
    if features is None:
        features = motion()
    if features is not False:
        np.save(folder / "new_joint_vecs" / f"{raw_id}.npy", features)
    if text is not None:
        (folder / "texts" / f"{raw_id}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with (folder / f"{split}.txt").open("a") as file:
        file.write(f"{raw_id}\n")


def read(folder, **knobs):
    reader = RawFolder(find(folder), **knobs)
    return list(reader.clips()), [(entry.id, entry.reason) for entry in reader.skipped], reader


def refused(folder, raw_id, reason, match):
    """The fault is an error by default, and is recorded with on_bad="skip"."""
    with pytest.raises(DataError, match=match) as caught:
        read(folder)
    assert raw_id in str(caught.value)
    assert "on_bad: skip" in str(caught.value)
    clips, skipped, reader = read(folder, on_bad="skip")
    assert (raw_id, reason) in skipped
    assert all(str(folder) not in entry.detail for entry in reader.skipped)
    return clips
