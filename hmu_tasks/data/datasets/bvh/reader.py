"""Read a BVH file into arrays with PyMotion (upc-pymotion), after `grammar` has validated its text."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh.asf import read_pair
from hmu_tasks.data.datasets.bvh.grammar import check
from hmu_tasks.data.motion import rotations as quaternions
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import RECORDING, read_bytes

Array = NDArray[np.float64]

BLENDER: Final = (
    "import bpy; bpy.ops.wm.read_factory_settings(use_empty=True); bpy.ops.import_scene.{kind}(filepath='{file}'); "
    "a = next(o for o in bpy.data.objects if o.type == 'ARMATURE'); bpy.context.view_layer.objects.active = a; "
    "r = a.animation_data.action.frame_range; "
    "bpy.ops.export_anim.bvh(filepath='{stem}.bvh', frame_start=int(r[0]), frame_end=int(r[1]))"
)
"""What Blender runs to convert a file with one animated armature."""
_WITH_BLENDER: Final = 'convert it with Blender:\n  blender --background --python-expr "{code}"\n'
READ: Final = (".bvh", ".amc")
"""Endings of files that are read."""
OTHERS: Final = {
    ".fbx": "fbx",
    ".glb": "gltf",
    ".gltf": "gltf",
    ".c3d": "it holds markers, not a skeleton; solve it to a skeleton in the capture software and export BVH",
    ".asf": "it is a skeleton alone; name the .amc files of its motions, and leave it beside them",
}
"""Formats of motion capture that are not read, and what to do; for Blender's, the name of its importer."""


@dataclass(frozen=True)
class Recording:
    """A motion as recorded: position and rotation of each joint relative to its parent.

    names: [J]; parents: [J], -1 for the root, parents first; positions: [F, J, 3] in the file's units;
    rotations: [F, J, 4] unit quaternions without sign flips over time; seconds: per frame. assumed: see `Document`.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    positions: Array
    rotations: Array
    seconds: float
    assumed: tuple[str, ...] = ()

    def world(self) -> Array:
        """World positions of all joints, [F, J, 3], in the file's units and axes."""
        positions, rotations = self.positions.copy(), self.rotations.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                above: Any = rotations[:, parent]
                positions[:, joint] = positions[:, parent] + quaternions.rotate(
                    above, self.positions[:, joint]
                )
                rotations[:, joint] = quaternions.multiply(above, self.rotations[:, joint])
        return positions


def read(file: Path, *, fps: float | None = None) -> Recording:
    """Read a BVH file, or an AMC file with its ASF file (see `asf`).

    Raises DataError with a message to be prefixed by the file's name, or FileNotFoundError.
    fps: frames per second where the file has no usable frame time, as no AMC file has. Position channels of a joint
    replace its OFFSET, as exporters write them.
    """
    if file.suffix.lower() == ".amc":
        return _read_acclaim(file, fps)
    if file.suffix.lower() in OTHERS:
        raise DataError(f"is a {file.suffix[1:].upper()} file, which is not read: {_advice(file)}")
    try:
        raw = read_bytes(file, limit=RECORDING)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from error
    document = check(_text(raw), fps)
    # Imported here because it imports torch, which takes a second.
    from pymotion.io.bvh import BVH  # type: ignore[import-untyped]

    library = BVH()
    with tempfile.NamedTemporaryFile("w", suffix=".bvh", encoding="ascii") as checked:
        checked.write(document.text)
        checked.flush()
        library.load(checked.name)
    rotations, positions, parents, *_ = library.get_data()
    return Recording(
        names=document.names,
        parents=(-1, *(int(parent) for parent in parents[1:])),
        positions=np.asarray(positions, dtype=np.float64),
        rotations=np.asarray(rotations, dtype=np.float64),
        seconds=float(library.data["frame_time"]),
        assumed=document.assumed,
    )


def _read_acclaim(file: Path, fps: float | None) -> Recording:
    try:
        names, parents, positions, rotations = read_pair(file)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from error
    if fps is None:
        raise DataError(
            "has no frame rate, as no AMC file has: set ingest.bvh.fps to that of the files (120 for most of CMU's)"
        )
    assumed = (f"an AMC file has no frame time: {fps:g} frames per second, as ingest.bvh.fps says",)
    return Recording(names, parents, positions, rotations, 1 / fps, assumed)


def _advice(file: Path) -> str:
    advice = OTHERS[file.suffix.lower()]
    if advice not in ("fbx", "gltf"):
        return advice
    return _WITH_BLENDER.format(code=BLENDER.format(kind=advice, file=file.name, stem=file.stem))


def _text(raw: bytes) -> str:
    """Decode a file: UTF-8, UTF-16 by its mark or its zeros, or else Windows' Latin alphabet, which only names need."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw[:2] and raw[:2] != b"\0\0":
        return raw.decode("utf-16-be" if raw[:1] == b"\0" else "utf-16-le", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")
