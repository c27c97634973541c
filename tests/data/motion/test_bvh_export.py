"""BVH export: exact for a rigid body, mean bone lengths otherwise, and an error for invalid joints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh.reader import read
from hmu_tasks.data.motion import rotations
from hmu_tasks.data.motion.bvh_export import bvh_text
from hmu_tasks.data.motion.skeleton import JOINT_COUNT, JOINTS, PARENTS, RAW_OFFSETS
from hmu_tasks.runtime.errors import DataError


def dance(frames: int, *, swing: float) -> NDArray[np.float64]:
    """A rigid body with random joint rotations: [frames, 22, 3]; swing 1 covers all rotations."""
    rng = np.random.default_rng(1)
    turns = rng.normal(size=(frames, JOINT_COUNT, 4)) * swing + np.array([1.0, 0, 0, 0])
    turns /= np.linalg.norm(turns, axis=-1, keepdims=True)
    offsets = RAW_OFFSETS * np.linspace(0.1, 0.4, JOINT_COUNT)[:, None]
    offsets[[1, 2]] -= [0, 0.05, 0.02]  # hips below the pelvis, as in a real body
    places = np.zeros((frames, JOINT_COUNT, 3))
    places[:, 0] = rng.normal(size=(frames, 3))
    world = turns.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            places[:, joint] = places[:, parent] + rotations.rotate(world[:, parent], offsets[joint])
            world[:, joint] = rotations.multiply(world[:, parent], turns[:, joint])
    return places


def joints_of(text: str, tmp_path: Path) -> NDArray[Any]:
    file = tmp_path / "motion.bvh"
    file.write_text(text, encoding="utf-8")
    recording = read(file)
    assert recording.seconds == pytest.approx(0.05)
    return recording.world()[:, [recording.names.index(name) for name in JOINTS]] / 100


@pytest.mark.parametrize("swing", [0.05, 0.5, 1.0])
def test_a_rigid_body_round_trips(tmp_path: Path, swing: float) -> None:
    motion = dance(30, swing=swing)
    text = bvh_text(motion)
    assert text == bvh_text(motion)
    np.testing.assert_allclose(joints_of(text, tmp_path), motion, atol=2e-5)


def test_bones_that_stretch_keep_their_mean_length(tmp_path: Path) -> None:
    motion = dance(30, swing=0.1)
    motion[::2, 15] += 0.02 * (motion[::2, 15] - motion[::2, 12])
    found = joints_of(bvh_text(motion), tmp_path)
    np.testing.assert_allclose(found[:, :15], motion[:, :15], atol=2e-5)
    bones = np.linalg.norm(found[:, 15] - found[:, 12], axis=-1)
    np.testing.assert_allclose(
        bones, np.linalg.norm(motion[:, 15] - motion[:, 12], axis=-1).mean(), atol=2e-5
    )


@pytest.mark.parametrize("shape", [(0, 22, 3), (5, 21, 3), (5, 22, 2), (22, 3)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="joints have shape"):
        bvh_text(np.zeros(shape))


def test_non_finite_joints_are_refused() -> None:
    motion = dance(3, swing=0.1)
    motion[1, 4, 2] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        bvh_text(motion)
