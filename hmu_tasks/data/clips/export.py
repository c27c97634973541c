"""Write one motion, a packed clip or a .npy file, as GLB or BVH."""

from pathlib import Path

import numpy as np

from hmu_tasks.data.clips.arrays import read_array
from hmu_tasks.data.clips.packed import load
from hmu_tasks.data.motion.bvh_export import bvh_text
from hmu_tasks.data.motion.glb_export import glb_bytes
from hmu_tasks.data.motion.recovery import to_joints
from hmu_tasks.data.motion.skeleton import FPS, JOINT_COUNT
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing


def export(clip: str, target: Path, clips_folder: Path) -> None:
    """Write a clip to a .glb or .bvh file.

    clip: an id of the packed clips, or a .npy file of features [F, 263] or joints [F, 22, 3] at 20 frames per second.
    Raises DataError for an unknown clip or ending, and for motions of other skeletons.
    """
    ending = target.suffix.lower()
    if ending not in (".glb", ".bvh"):
        raise DataError(f"{target} ends in {ending or 'nothing'}; choose .glb or .bvh")
    if clip.endswith(".npy"):
        try:
            array, fps = np.asarray(read_array(Path(clip)), np.float32), FPS
        except FileNotFoundError:
            raise DataError(f"{clip} is missing") from None
        except DataError as error:
            raise DataError(f"{clip} {error}") from error
    else:
        packed = load(clips_folder)
        array, fps = np.asarray(packed.features(clip)), packed.fps
    joints = to_joints(array) if array.ndim == 2 else array
    if joints.ndim != 3 or joints.shape[1:] != (JOINT_COUNT, 3):
        raise DataError(
            f"{clip} has shape {array.shape}; features of {JOINT_COUNT} joints, or these, are written"
        )
    with replacing(target) as temporary:
        if ending == ".glb":
            temporary.write_bytes(glb_bytes(joints, fps=fps, name=Path(clip).stem))
        else:
            temporary.write_text(bvh_text(joints, fps=fps), encoding="utf-8")
