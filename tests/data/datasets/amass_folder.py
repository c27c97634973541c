"""Made-up AMASS folders, and what is read from them."""

from pathlib import Path

import numpy as np
from tiny_amass import Recorded, npz_bytes, write_repository

from hmu_tasks.data.clips.clips import Clip
from hmu_tasks.data.datasets.amass.index import IndexRow
from hmu_tasks.data.datasets.amass.names import key_of
from hmu_tasks.data.datasets.humanml3d import find
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.data.datasets.smpl.joints import BODY
from hmu_tasks.data.datasets.synthetic.writer import sample_clip
from hmu_tasks.data.motion.features import from_joints, to_joints

MOTIONS = [sample_clip(1, "train", number).joints[:62] for number in range(4)]


def entry(path: str = "KIT/3/kick", start: int = 0, end: int = 10_000) -> IndexRow:
    return IndexRow("000000", key_of(f"{path}_poses.npy".split("/")), path, start, end)


def world(folder: Path, *, skip: tuple[str, ...] = ()) -> dict[str, Recorded | str]:
    """A clone of the repository with five clips of four sub-datasets and HumanAct12, and no motion yet."""
    clips: dict[str, Recorded | str] = {
        "000000": Recorded("KIT/3/kick high left02", MOTIONS[0], fps=100, start=2),
        "000001": "humanact12/humanact12/P11G01R02F1812T1847A0402.npy",
        "000002": Recorded("MPI_HDM05/bk/HDM_bk_04-01_02_120", MOTIONS[1], fps=120, cut=60, after=5),
        "000003": Recorded("BioMotionLab_NTroje/rub001/0000_treadmill_norm", MOTIONS[2], fps=60),
        "000004": Recorded("SSM_synced/20161014_50033/punch_kick_sync", MOTIONS[3], fps=250, start=7),
    }
    write_repository(
        folder, clips, {"train": ["000000", "000001", "000002"], "val": ["000003"], "test": ["000004"]}
    )
    return clips


def act12(folder: Path) -> None:
    place = folder / "pose_data" / "humanact12" / "humanact12"
    place.mkdir(parents=True)
    np.save(place / "P11G01R02F1812T1847A0402.npy", np.pad(MOTIONS[1], ((0, 0), (0, 2), (0, 0))))


def unpacked(folder: Path, clips: dict[str, Recorded | str], names: dict[str, str] | None = None) -> None:
    for motion in clips.values():
        if isinstance(motion, Recorded):
            path = motion.path
            for old, new in (names or {}).items():
                path = path.replace(old, new)
            ending = "stageii" if motion.stageii else "poses"
            file = folder / "amass_data" / f"{path}_{ending}.npz"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(npz_bytes(motion))


def clips_of(folder: Path) -> dict[str, Clip]:
    return {clip.clip_id: clip for clip in RawFolder(find(folder), min_frames=20).clips()}


def close(found: np.ndarray, joints: np.ndarray) -> None:
    want = from_joints(joints, offsets=BODY)
    assert found.shape == want.shape
    errors = np.linalg.norm(to_joints(found) - to_joints(want), axis=-1)
    assert errors.mean() < 0.006
    assert (found[:, -4:] == want[:, -4:]).all(axis=1).mean() >= 0.95
