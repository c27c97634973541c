"""Export a motion as binary glTF 2.0 (GLB): a skinned stick body that Blender, Windows and web viewers open.

Written directly (Khronos Group, glTF 2.0 specification): a header, a chunk of JSON and a chunk of arrays. trimesh
writes no animations, and pygltflib needs a version of marshmallow below that of Great Expectations.
"""

import json
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion.bvh_export import local_rotations, rest_pose
from hmu_tasks.data.motion.skeleton import FPS, JOINT_COUNT, JOINTS, LEFT, PARENTS, RAW_OFFSETS, RIGHT
from hmu_tasks.runtime.errors import DataError

Array = NDArray[np.float64]

_FLOAT, _USHORT, _UBYTE = 5126, 5123, 5121  # glTF's component types
_KINDS: Final = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_VERTICES, _INDICES = 34962, 34963  # targets of buffer views
_WIDTH: Final = 0.028  # metres from the axis of a bone to the edges of its stick
_TIP: Final = 0.1  # metres of stick beyond a leaf joint
_COLOURS: Final = ((0.55, 0.55, 0.58), (0.25, 0.45, 0.75), (0.75, 0.35, 0.3))  # middle, left, right
# A stick between two points: a square in its first fifth and the two ends, eight triangles.
_FACES: Final = np.array(
    [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 1), (5, 2, 1), (5, 3, 2), (5, 4, 3), (5, 1, 4)], np.uint16
)


def glb_bytes(joints: NDArray[Any], *, fps: float = FPS, name: str = "motion") -> bytes:
    """Write joints [F, 22, 3] (metres, Y up) as GLB with one animation, `name`.

    Bones get their mean length over the motion; rotations are those of the BVH export. The same motion gives the same
    bytes. Raises DataError for a wrong shape or non-finite values.
    """
    if joints.ndim != 3 or joints.shape[1:] != (JOINT_COUNT, 3) or not len(joints):
        raise DataError(f"joints have shape {joints.shape}; expected [frames, {JOINT_COUNT}, 3]")
    if not np.isfinite(joints).all():
        raise DataError("joints contain NaN or infinite values, which glTF cannot hold")
    positions = joints.astype(np.float64)
    offsets = rest_pose(positions)
    offsets[0] = 0.0
    turns = _quaternions(local_rotations(positions, offsets))
    file = _Buffer()
    places, shape, owners = _body(offsets)
    attributes = {
        "POSITION": file.add(places.astype("<f4"), _VERTICES, limits=True),
        "COLOR_0": file.add(_colours(owners).astype("<f4"), _VERTICES),
        "JOINTS_0": file.add(np.pad(owners[:, None], ((0, 0), (0, 3))).astype("u1"), _VERTICES),
        "WEIGHTS_0": file.add(np.tile(np.array([1, 0, 0, 0], "<f4"), (len(owners), 1)), _VERTICES),
    }
    inverse = np.tile(np.eye(4), (JOINT_COUNT, 1, 1))
    inverse[:, 3, :3] = -_world(offsets)  # column-major: the translation is the last row here
    bind = file.add(inverse.reshape(JOINT_COUNT, 16).astype("<f4"))
    times = file.add((np.arange(len(positions)) / fps).astype("<f4")[:, None], limits=True)
    samplers = [{"input": times, "output": file.add(positions[:, 0].astype("<f4"))}]
    channels = [{"sampler": 0, "target": {"node": 0, "path": "translation"}}]
    for joint in range(JOINT_COUNT):
        samplers.append({"input": times, "output": file.add(turns[:, joint].astype("<f4"))})
        channels.append({"sampler": joint + 1, "target": {"node": joint, "path": "rotation"}})
    primitive = {"attributes": attributes, "indices": file.add(shape.reshape(-1, 1), _INDICES), "material": 0}
    document = {
        "asset": {"version": "2.0", "generator": "HMU"},
        "scene": 0,
        "scenes": [{"nodes": [0, JOINT_COUNT]}],
        "nodes": [*_nodes(offsets), {"name": "body", "mesh": 0, "skin": 0}],
        "meshes": [{"name": "body", "primitives": [primitive]}],
        "materials": [
            {
                "name": "body",
                "doubleSided": True,
                "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.8},
            }
        ],
        "skins": [{"inverseBindMatrices": bind, "joints": list(range(JOINT_COUNT)), "skeleton": 0}],
        "animations": [{"name": name, "samplers": samplers, "channels": channels}],
        "accessors": file.accessors,
        "bufferViews": file.views,
        "buffers": [{"byteLength": len(file.data)}],
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    parts = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(file.data), b"BIN\0")
    body = parts + bytes(file.data)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


class _Buffer:
    """The chunk of arrays, each at a multiple of four bytes, with the views and accessors that describe it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, array: NDArray[Any], target: int | None = None, *, limits: bool = False) -> int:
        """Append an array [n, width]; returns the number of its accessor."""
        kinds = {"f": _FLOAT, "u": _USHORT if array.itemsize == 2 else _UBYTE}
        content = np.ascontiguousarray(array).tobytes()
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)}
        self.views.append(view | ({"target": target} if target else {}))
        accessor = {
            "bufferView": len(self.views) - 1,
            "componentType": kinds[array.dtype.kind],
            "count": len(array),
            "type": _KINDS[array.shape[1]],
        }
        if limits:
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        self.accessors.append(accessor)
        self.data += content + b"\0" * (-len(content) % 4)
        return len(self.accessors) - 1


def _nodes(offsets: Array) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    for joint, name in enumerate(JOINTS):
        children = [child for child, parent in enumerate(PARENTS) if parent == joint]
        node = {"name": name, "translation": offsets[joint].tolist()}
        nodes.append(node | ({"children": children} if children else {}))
    return nodes


def _world(offsets: Array) -> Array:
    places = offsets.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            places[joint] += places[parent]
    return places


def _body(offsets: Array) -> tuple[Array, NDArray[np.uint16], NDArray[np.intp]]:
    """Sticks of all bones in the rest pose: vertices [V, 3], triangles [T, 3], and the joint that moves each vertex."""
    places = _world(offsets)
    ends = [(parent, places[parent], places[joint]) for joint, parent in enumerate(PARENTS) if parent >= 0]
    leaves = [joint for joint in range(JOINT_COUNT) if joint not in PARENTS]
    ends += [(joint, places[joint], places[joint] + _TIP * RAW_OFFSETS[joint]) for joint in leaves]
    vertices, faces = [], []
    for number, (_, start, end) in enumerate(ends):
        along = end - start
        length = np.linalg.norm(along) or 1.0
        aside = np.cross(along / length, np.eye(3)[int(np.abs(along).argmin())])
        aside /= np.linalg.norm(aside)
        across = np.cross(along / length, aside)
        ring = start + along / 5 + _WIDTH * np.array([aside, across, -aside, -across])
        vertices.append(np.concatenate([[start], ring, [end]]))
        faces.append(_FACES + np.uint16(6 * number))
    owners = np.repeat([owner for owner, _, _ in ends], 6)
    return np.concatenate(vertices), np.concatenate(faces), owners


def _colours(owners: NDArray[np.intp]) -> Array:
    sides = np.where(np.isin(owners, LEFT), 1, np.where(np.isin(owners, RIGHT), 2, 0))
    return np.array(_COLOURS)[sides]


def _quaternions(matrices: Array) -> Array:
    """Rotation matrices [F, J, 3, 3] -> unit quaternions [F, J, 4] as x, y, z, w without sign flips over time."""
    from scipy.spatial.transform import Rotation

    found: Array = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat().reshape(*matrices.shape[:2], 4)
    flips = np.where((found[1:] * found[:-1]).sum(axis=-1) < 0, -1.0, 1.0)
    found[1:] *= np.cumprod(flips, axis=0)[..., None]
    return found
