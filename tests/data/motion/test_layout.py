from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_raw import moving

from hmu_tasks.data.motion import features, recovery
from hmu_tasks.data.motion.layout import HUMANML3D, KITML, LAYOUTS, layout_of
from hmu_tasks.data.motion.normalisation import RunningStatistics, emphasise
from hmu_tasks.runtime.errors import DataError


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_the_parts_cover_every_feature_once(layout):
    covered = np.concatenate([np.arange(layout.width)[part] for part in layout.groups.values()])
    np.testing.assert_array_equal(covered, np.arange(layout.width))
    assert len(layout.names) == len(set(layout.names)) == layout.width
    sizes = {name: part.stop - part.start for name, part in layout.groups.items()}
    joints = layout.joints
    assert sizes == {
        "root": 4,
        "local_positions": 3 * (joints - 1),
        "rotations": 6 * (joints - 1),
        "velocities": 3 * joints,
        "contacts": 4,
    }
    assert layout_of(layout.width) is layout


def test_widths_and_joints():
    assert (HUMANML3D.width, HUMANML3D.joints) == (263, 22)
    assert (KITML.width, KITML.joints) == (251, 21)
    with pytest.raises(DataError, match=r"known are 263 \(humanml3d\), 251 \(kitml\)"):
        layout_of(322)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_chains_and_parents_make_one_tree(layout):
    body = layout.skeleton
    assert sorted(joint for chain in body.chains for joint in chain[1:]) == list(range(1, len(body)))
    for chain in body.chains:
        assert all(body.parents[b] == a for a, b in pairwise(chain))
    assert all(parent < joint for joint, parent in enumerate(body.parents))
    np.testing.assert_array_equal(np.abs(body.offsets).sum(1), [0] + [1] * (len(body) - 1))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_joints_round_trip_in_metres(layout):
    joints = features.to_joints(moving(layout, 30, seed=1))
    assert joints.shape == (30, layout.joints, 3)
    placed = features.place(joints, body=layout.skeleton)
    again = features.to_joints(features.from_joints(joints, layout=layout))
    np.testing.assert_allclose(again, placed[:-1], atol=2e-5)
    assert 0.3 < joints[0, 0, 1] < 1
    for side in ("left", "right"):
        hip = joints[0, layout.skeleton.joints.index(f"{side}_hip")] - joints[0, 0]
        assert np.sign(hip[0]) == (1 if side == "left" else -1)  # X points to the body's left
    ankle, toe = layout.skeleton.left_foot
    assert joints[0, toe, 2] > joints[0, ankle, 2] + 0.1
    from_rotations = recovery.to_joints_from_rotations(
        features.from_joints(joints, layout=layout), features.bone_offsets(joints[0], body=layout.skeleton)
    )
    assert from_rotations.shape == again.shape
    np.testing.assert_allclose(from_rotations[:, 0], again[:, 0], atol=1e-4)


def test_kit_features_use_the_units_of_its_body_model():
    rows = moving(KITML, 20, seed=2)
    joints = features.to_joints(rows)
    assert rows[0, KITML.root][3] == pytest.approx(joints[0, 0, 1] * 640, rel=1e-5)
    tensor = features.to_joints(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(tensor, joints, atol=1e-5)


def test_std_is_shared_within_each_group():
    running = RunningStatistics(KITML.width)
    running.add(moving(KITML, 40, seed=3))
    std = running.result().std
    for name in ("local_positions", "rotations", "velocities", "contacts"):
        assert len(np.unique(std[getattr(KITML, name)])) == 1
    biased = emphasise(std, feature_bias=5)
    changed = np.flatnonzero(biased != std)
    np.testing.assert_array_equal(changed, [0, 1, 2, 3, 247, 248, 249, 250])
