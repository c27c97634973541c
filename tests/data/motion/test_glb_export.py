"""GLB export: read back by the specification, the skinned body moves as the joints do."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from test_bvh_export import dance

from hmu_tasks.data.clips.export import export
from hmu_tasks.data.datasets.synthetic.writer import sample_clip
from hmu_tasks.data.motion.features import from_joints, to_joints
from hmu_tasks.data.motion.glb_export import glb_bytes
from hmu_tasks.data.motion.skeleton import JOINTS, PARENTS
from hmu_tasks.runtime.errors import DataError

TYPES = {5126: "<f4", 5123: "<u2", 5121: "u1"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def parsed(content: bytes) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """The JSON of a GLB file and its accessors, after the container's own rules are checked."""
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    assert size % 4 == 0
    document = json.loads(content[20 : 20 + size])
    binary, kind = struct.unpack_from("<I4s", content, 20 + size)
    assert kind == b"BIN\0"
    assert binary % 4 == 0
    assert len(content) == 28 + size + binary
    data = content[28 + size :]
    assert document["buffers"] == [{"byteLength": binary}]
    found = []
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        width = WIDTHS[accessor["type"]]
        array = np.frombuffer(
            data, TYPES[accessor["componentType"]], accessor["count"] * width, view["byteOffset"]
        ).reshape(-1, width)
        assert array.nbytes == view["byteLength"]
        if "min" in accessor:
            np.testing.assert_array_equal(array.min(axis=0), np.float32(accessor["min"]))
        found.append(array)
    return document, found


def animated(content: bytes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World matrices [F, 22, 4, 4] of the joints by the nodes and the animation, and the times [F]."""
    document, arrays = parsed(content)
    nodes = document["nodes"]
    (animation,) = document["animations"]
    tracks = {
        (channel["target"]["node"], channel["target"]["path"]): arrays[
            animation["samplers"][channel["sampler"]]["output"]
        ]
        for channel in animation["channels"]
    }
    times = arrays[animation["samplers"][0]["input"]][:, 0]
    parents = {child: parent for parent, node in enumerate(nodes) for child in node.get("children", [])}
    world = np.tile(np.eye(4), (len(times), len(JOINTS), 1, 1))
    for joint in range(len(JOINTS)):
        local = np.tile(np.eye(4), (len(times), 1, 1))
        local[:, :3, 3] = tracks.get((joint, "translation"), nodes[joint]["translation"])
        local[:, :3, :3] = Rotation.from_quat(tracks[joint, "rotation"]).as_matrix()
        world[:, joint] = world[:, parents[joint]] @ local if joint in parents else local
    return world, times


@pytest.mark.parametrize("swing", [0.05, 0.5, 1.0])
def test_the_joints_move_as_the_motion_does(swing: float) -> None:
    motion = dance(30, swing=swing)
    content = glb_bytes(motion, fps=25)
    assert content == glb_bytes(motion, fps=25)
    world, times = animated(content)
    np.testing.assert_allclose(world[:, :, :3, 3], motion, atol=1e-5)
    np.testing.assert_allclose(times, np.arange(30) / 25, atol=1e-6)


def test_the_skin_follows_its_joints() -> None:
    """Each vertex, bound to one joint, keeps its place relative to that joint; sticks end where bones end."""
    motion = dance(12, swing=0.5)
    content = glb_bytes(motion)
    document, arrays = parsed(content)
    world, _ = animated(content)
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    vertices, owners = arrays[attributes["POSITION"]], arrays[attributes["JOINTS_0"]][:, 0]
    np.testing.assert_array_equal(arrays[attributes["WEIGHTS_0"]].sum(axis=1), 1)
    skin = document["skins"][0]
    inverse = arrays[skin["inverseBindMatrices"]].reshape(-1, 4, 4).transpose(0, 2, 1)
    moved = np.einsum(
        "vab,vb->va", (world[7] @ inverse)[owners], np.pad(vertices, ((0, 0), (0, 1)), constant_values=1)
    )
    bones = [(parent, joint) for joint, parent in enumerate(PARENTS)][1:]
    for number, (parent, joint) in enumerate(bones):
        np.testing.assert_allclose(moved[6 * number, :3], motion[7, parent], atol=1e-5)
        np.testing.assert_allclose(moved[6 * number + 5, :3], motion[7, joint], atol=1e-5)
    indices = arrays[document["meshes"][0]["primitives"][0]["indices"]]
    assert indices.max() == len(vertices) - 1
    assert [document["nodes"][joint]["name"] for joint in skin["joints"]] == list(JOINTS)


def test_quaternions_do_not_flip() -> None:
    document, arrays = parsed(glb_bytes(dance(40, swing=0.2)))
    for sampler in document["animations"][0]["samplers"][1:]:
        turns = arrays[sampler["output"]]
        np.testing.assert_allclose(np.linalg.norm(turns, axis=1), 1, atol=1e-5)
        assert ((turns[1:] * turns[:-1]).sum(axis=1) >= 0).all()


@pytest.mark.parametrize("joints", [np.zeros((0, 22, 3)), np.zeros((5, 21, 3)), np.full((3, 22, 3), np.nan)])
def test_what_is_no_motion_is_refused(joints: NDArray[np.float64]) -> None:
    with pytest.raises(DataError, match="joints"):
        glb_bytes(joints)


def test_a_file_is_exported_by_its_ending(tmp_path: Path) -> None:
    joints = sample_clip(1, "train", 0).joints
    np.save(tmp_path / "kick.npy", from_joints(joints))
    np.save(tmp_path / "joints.npy", joints)
    np.save(tmp_path / "odd.npy", np.zeros((5, 3, 3)))
    for name in ("kick", "joints"):
        export(str(tmp_path / f"{name}.npy"), tmp_path / f"{name}.glb", tmp_path)
        export(str(tmp_path / f"{name}.npy"), tmp_path / f"{name}.bvh", tmp_path)
        assert (tmp_path / f"{name}.bvh").read_text().startswith("HIERARCHY")
    world, _ = animated((tmp_path / "kick.glb").read_bytes())
    np.testing.assert_allclose(world[:, :, :3, 3], to_joints(from_joints(joints)), atol=2e-3)
    for clip, to, match in (
        ("kick.npy", "kick.fbx", "choose .glb or .bvh"),
        ("absent.npy", "a.glb", "is missing"),
        ("odd.npy", "a.glb", "has shape"),
    ):
        with pytest.raises(DataError, match=match):
            export(str(tmp_path / clip), tmp_path / to, tmp_path)
