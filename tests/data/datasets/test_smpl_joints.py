"""Forward kinematics of SMPL's rotations against scipy, and what a subject's shape would change."""

import csv

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hmu_tasks.data.datasets.smpl.joints import BODY, REST, features_of, joints_of, quaternions
from hmu_tasks.data.motion.features import from_joints, mirror_joints, to_joints
from hmu_tasks.data.motion.skeleton import JOINTS, PARENTS
from hmu_tasks.runtime.errors import DataError


def by_scipy(turns: NDArray[np.float64], path: NDArray[np.float64]) -> NDArray[np.float64]:
    """One joint, one frame at a time, with rotation matrices."""
    places = np.zeros((len(turns), 22, 3))
    for frame, angles in enumerate(turns.reshape(len(turns), -1, 3)):
        world = []
        for joint, parent in enumerate(PARENTS):
            turn = Rotation.from_rotvec(angles[joint])
            if parent < 0:
                world.append(turn)
                places[frame, joint] = path[frame] + REST[0]
            else:
                world.append(world[parent] * turn)
                places[frame, joint] = places[frame, parent] + world[parent].apply(REST[joint].copy())
    return places


@pytest.mark.parametrize("size", [0.0, 1e-9, 0.3, 3.0, 20.0])
@pytest.mark.parametrize("width", [66, 156, 165])
def test_forward_kinematics_equals_scipy(size: float, width: int) -> None:
    rng = np.random.default_rng(0)
    turns, path = rng.normal(size=(5, width)) * size, rng.normal(size=(5, 3))
    found = joints_of(turns.astype(np.float64), path)
    np.testing.assert_allclose(found, by_scipy(turns[:, :66], path), atol=1e-6, rtol=0)


def test_quaternions_are_those_of_scipy() -> None:
    angles = np.random.default_rng(1).normal(size=(7, 3)) * 2
    expected = Rotation.from_rotvec(angles).as_quat(scalar_first=True)
    np.testing.assert_allclose(
        quaternions(angles),
        expected * np.sign(expected[:, :1]) * np.sign(quaternions(angles)[:, :1]),
        atol=1e-12,
    )


def test_rest_offsets_are_the_given_ones(shared) -> None:  # type: ignore[no-untyped-def]
    with (shared / "reference" / "smpl-rest-offsets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(JOINTS)
    assert tuple(int(row["parent"]) for row in rows) == PARENTS
    np.testing.assert_array_equal(REST, [[float(row[axis]) for axis in "xyz"] for row in rows])


def test_features_are_those_of_the_motion_and_its_mirror_image() -> None:
    turns = np.cumsum(np.random.default_rng(2).normal(size=(30, 66)) * 0.03, axis=0)
    joints = joints_of(turns, np.zeros((30, 3)))
    found = features_of(joints)
    np.testing.assert_array_equal(found[0], from_joints(joints, offsets=BODY))
    np.testing.assert_array_equal(found[1], from_joints(mirror_joints(joints), offsets=BODY))


def test_longer_bones_change_nothing_but_the_path() -> None:
    """The common body takes bone lengths out; the path still scales by the legs (docs/data.md states by how much)."""
    rng = np.random.default_rng(3)
    turns = np.cumsum(rng.normal(size=(40, 66)) * 0.03, axis=0)
    still = np.zeros((40, 3))
    mean = to_joints(features_of(joints_of(turns, still))[0])
    sizes = rng.uniform(0.9, 1.1, (22, 1))
    other = to_joints(features_of(joints_of(turns, still, offsets=REST * sizes))[0])
    np.testing.assert_allclose(other - other[:, :1], mean - mean[:, :1], atol=2e-5)


@pytest.mark.parametrize(
    ("turns", "path", "match"),
    [
        (np.zeros((4, 65)), np.zeros((4, 3)), "expected"),
        (np.zeros((4, 66)), np.zeros((5, 3)), "expected"),
        (np.full((4, 66), np.nan), np.zeros((4, 3)), "first in frame 0"),
        (np.zeros((4, 66)), np.full((4, 3), 1e6), "huge"),
    ],
)
def test_what_is_no_motion_is_refused(
    turns: NDArray[np.float64], path: NDArray[np.float64], match: str
) -> None:
    with pytest.raises(DataError, match=match):
        joints_of(turns, path)


def test_two_frames_are_no_motion() -> None:
    with pytest.raises(DataError, match="2 frames"):
        features_of(np.zeros((2, 22, 3)))
