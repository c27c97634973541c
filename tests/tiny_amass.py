"""Made-up AMASS: motions turned into SMPL's joint rotations in files and archives as downloaded."""

import bz2
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hmu_tasks.data.datasets.smpl.joints import BODY, REST
from hmu_tasks.data.motion.features import retarget
from hmu_tasks.data.motion.skeleton import JOINT_COUNT, LEG, PARENTS

Array = NDArray[np.float64]

CHILDREN = [[c for c in range(JOINT_COUNT) if PARENTS[c] == j] for j in range(JOINT_COUNT)]
# Left and right child and the one along the spine, of pelvis and chest.
SPANS = {0: (1, 2, 3), 9: (13, 14, 12)}
# Columns: where AMASS's x, y and z point in HumanML3D's axes.
TO_AMASS = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])


def unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def frame_of(left: Array, right: Array, along: Array, sign: float) -> Array:
    """Rotations [..., 3, 3] whose X runs exactly from the right to the left child, Y about along the spine."""
    x = unit(left - right)
    z = unit(np.cross(x, along + sign * (left + right)))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def inverse_kinematics(joints: NDArray[Any], offsets: Array) -> Array:
    """World rotations [F, 22, 3, 3] that bring a body of these rest offsets as near to joints [F, 22, 3] as they can.

    From the pelvis outwards: pelvis and chest meet the line of hips or collars, which says where the body faces; other
    joints point at their child's target from where the joint came to lie.
    """
    world = np.tile(np.eye(3), (len(joints), JOINT_COUNT, 1, 1))
    places = np.array(joints, dtype=np.float64)
    for joint, children in enumerate(CHILDREN):
        above = world[:, PARENTS[joint]] if joint else world[:, 0]
        if joint:
            places[:, joint] = places[:, PARENTS[joint]] + above @ offsets[joint]
        if len(children) > 1:
            left, right, spine = SPANS[joint]
            sign = -1.0 if joint == 0 else 1.0
            given = frame_of(*(joints[:, c] - places[:, joint] for c in (left, right, spine)), sign)
            world[:, joint] = given @ frame_of(*offsets[[left, right, spine]], sign).T
        elif children:
            start, end = unit(above @ offsets[children[0]]), unit(joints[:, children[0]] - places[:, joint])
            axis = np.cross(start, end)
            angle = np.arctan2(np.linalg.norm(axis, axis=-1), (start * end).sum(-1))
            world[:, joint] = Rotation.from_rotvec(unit(axis) * angle[:, None]).as_matrix() @ above
        else:
            world[:, joint] = above
    return world


def parameters(joints: NDArray[Any]) -> tuple[Array, Array]:
    """Axis-angles [F, 66] and translation [F, 3] in AMASS's axes that give joints [F, 22, 3] (metres, Y up)."""
    target = retarget(joints, BODY)
    lengths = np.linalg.norm(BODY, axis=-1, keepdims=True)
    offsets = unit(REST) * lengths
    world = inverse_kinematics(target, offsets)
    local = world.copy()
    for joint, parent in enumerate(PARENTS[1:], start=1):
        local[:, joint] = np.swapaxes(world[:, parent], 1, 2) @ world[:, joint]
    turns = Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(-1, JOINT_COUNT, 3)
    turns[:, 0] = (Rotation.from_matrix(TO_AMASS) * Rotation.from_rotvec(turns[:, 0])).as_rotvec()
    # The mean body is smaller than the common one; retargeting scales the path by the legs.
    scale = np.linalg.norm(REST[list(LEG)], axis=-1).sum() / lengths[list(LEG)].sum()
    return turns.reshape(len(joints), -1), target[:, 0] * scale @ TO_AMASS.T - REST[0]


@dataclass(frozen=True)
class Recorded:
    """A motion [F, 22, 3] of the sub-dataset `path` starts with, and how its file holds it.

    cut: frames at 20 per second before those that the index counts from; start: frames before the clip; after: behind.
    """

    path: str
    joints: NDArray[Any]
    fps: float = 120.0
    cut: int = 0
    start: int = 0
    after: int = 0
    stageii: bool = False

    @property
    def source_path(self) -> str:
        return f"./pose_data/{self.path}_poses.npy"

    @property
    def end(self) -> int:
        return self.start + len(self.joints)


def npz_bytes(motion: Recorded, **others: object) -> bytes:
    """A file of AMASS: for SMPL-H, or for SMPL-X as the newer release has it."""
    turns, path = parameters(motion.joints)
    times = np.clip(
        np.arange(len(turns) + motion.cut + motion.start + motion.after) - motion.cut - motion.start,
        0,
        len(turns) - 1,
    )
    # Between the frames that are taken lies what must not be read.
    rows = np.repeat(times, int(motion.fps / 20))
    taken = np.arange(len(rows)) % int(motion.fps / 20) == 0
    turns, path = np.where(taken[:, None], turns[rows], 9.0), np.where(taken[:, None], path[rows], -5.0)
    hands = np.full((len(rows), 99 if motion.stageii else 90), 0.3)
    arrays: dict[str, Any] = {
        "poses": np.concatenate([turns, hands], axis=1),
        "trans": path,
        "betas": np.linspace(-1, 1, 16),
        "gender": "female",
    }
    if motion.stageii:
        arrays |= {"mocap_frame_rate": motion.fps, "root_orient": turns[:, :3], "pose_body": turns[:, 3:66]}
        arrays["markers_latent_vids"] = np.array({"never": "unpickled"}, dtype=object)
    else:
        arrays["mocap_framerate"] = motion.fps
    buffer = io.BytesIO()
    np.savez(buffer, **(arrays | others))
    return buffer.getvalue()


def write_archive(file: Path, members: Mapping[str, bytes], *, streams: int = 1) -> Path:
    """A tar file, compressed as its name says; streams: parts of a .bz2 file, as parallel compressors write."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    content = buffer.getvalue()
    file.parent.mkdir(parents=True, exist_ok=True)
    if streams > 1:
        size = -(-len(content) // streams)
        parts = [bz2.compress(content[at : at + size]) for at in range(0, len(content), size)]
        file.write_bytes(b"".join(parts))
        return file
    with (
        tarfile.open(file, f"w:{file.suffix[1:].replace('tar', '')}") as packed,
        tarfile.open(fileobj=io.BytesIO(content)) as tar,
    ):
        for info in tar:
            packed.addfile(info, tar.extractfile(info))
    return file


def write_repository(
    folder: Path,
    clips: Mapping[str, Recorded | str],
    splits: Mapping[str, Sequence[str]],
    captions: Mapping[str, str] | None = None,
) -> Path:
    """HumanML3D's index, texts and lists; a clip is a motion, or the path of a joint array of HumanAct12."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["source_path,start_frame,end_frame,new_name"]
    for clip_id, motion in clips.items():
        where = (
            f"./pose_data/{motion},0,-1"
            if isinstance(motion, str)
            else f"{motion.source_path},{motion.start},{motion.end}"
        )
        rows.append(f"{where},{clip_id}.npy")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    (folder / "texts").mkdir()
    for clip_id in clips:
        for name in (clip_id, f"M{clip_id}"):
            line = (captions or {}).get(name, "a person walks#a/DET person/NOUN walk/VERB#0.0#0.0")
            (folder / "texts" / f"{name}.txt").write_text(f"{line}\n")
    for split in ("train", "val", "test"):
        ids = splits.get(split, ())
        (folder / f"{split}.txt").write_text("".join(f"{name}\nM{name}\n" for name in ids))
    return folder
