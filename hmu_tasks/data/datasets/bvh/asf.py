"""Read Acclaim's ASF (skeleton) and AMC (motion), the pair of files in which CMU distributes its captures.

No package on PyPI that is kept up reads them. A bone turns by C M C^-1, where C is its axis and M its angles, and its
children start at its end; a joint here is the start of the bone of that name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh.grammar import FEWEST_FRAMES, LARGEST, MOST_JOINTS, MOST_NUMBERS
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import RECORDING, SETTINGS, read_bytes

Array = NDArray[np.float64]
Lines = Iterator[tuple[int, list[str]]]
ROOT: Final = "root"


@dataclass
class _Bone:
    """axis: angles in degrees and their order; dof: channels in the file's order; vector: from start to end."""

    axis: tuple[list[float], str] = ((0.0, 0.0, 0.0), "xyz")  # type: ignore[assignment]
    dof: tuple[str, ...] = ()
    vector: Array = field(default_factory=lambda: np.zeros(3))
    parent: str = ""


def skeleton_of(motion: Path) -> Path:
    """Find the .asf file of an .amc file: of its name, of the part before `_` (CMU's subjects), or the only one."""
    beside = {
        path.stem.lower(): path for path in sorted(motion.parent.iterdir()) if path.suffix.lower() == ".asf"
    }
    names = (
        motion.stem.lower(),
        motion.stem.lower().partition("_")[0],
        *(beside if len(beside) == 1 else ()),
    )
    found = next((beside[name] for name in names if name in beside), None)
    if found is None:
        raise DataError(
            f"has no skeleton: put {names[0]}.asf or {names[1]}.asf beside it, as it is distributed"
        )
    return found


def read_pair(motion: Path) -> tuple[tuple[str, ...], tuple[int, ...], Array, Array]:
    """Read an .amc file with its .asf file: names, parents, positions [F, J, 3] and quaternions [F, J, 4].

    All of a joint relative to its parent, as in a BVH file. Raises DataError, to be prefixed by the motion's name.
    """
    from scipy.spatial.transform import Rotation

    file = skeleton_of(motion)
    try:
        bones, scale = _skeleton(_lines(file, SETTINGS))
    except (DataError, ValueError, LookupError, ArithmeticError) as error:
        raise DataError(
            f"has the skeleton {file.name}, which is not valid ASF ({error}); download it again"
        ) from error
    frames = _frames(_lines(motion, RECORDING), bones)
    names, count = tuple(bones), len(frames[ROOT])
    positions, turns = np.zeros((count, len(names), 3)), np.zeros((count, len(names), 4))
    for place, (name, bone) in enumerate(bones.items()):
        axis = Rotation.from_euler(bone.axis[1], bone.axis[0], degrees=True)
        order = "".join(channel[1] for channel in bone.dof if channel[0] == "r")
        turn = axis * axis.inv()
        if order:  # about fixed axes, in the file's order
            angles = frames[name][:, [bone.dof.index(f"r{letter}") for letter in order]]
            turn = axis * Rotation.from_euler(order, angles, degrees=True) * axis.inv()
        turns[:, place] = turn.as_quat(scalar_first=True)
        if name == ROOT:
            positions[:, place] = (
                frames[name][:, [bone.dof.index(f"t{letter}") for letter in "xyz"]] + bone.vector
            )
        elif bone.parent != ROOT:
            positions[:, place] = bones[bone.parent].vector
    # Neighbouring frames on one side of the sphere of quaternions, so that they may be interpolated.
    flips = np.where((turns[1:] * turns[:-1]).sum(-1) < 0, -1.0, 1.0)
    turns[1:] *= np.cumprod(flips, axis=0)[..., None]
    parents = tuple(names.index(bone.parent) if bone.parent else -1 for bone in bones.values())
    return names, parents, positions * scale, turns


def _lines(file: Path, limit: int) -> Lines:
    """Words of each line with its number; comments and empty lines are left out."""
    text = read_bytes(file, limit=limit).decode("utf-8", errors="replace")
    for number, line in enumerate(text.rstrip("\x1a\0").splitlines(), start=1):
        if words := line.partition("#")[0].split():
            yield number, words


def _skeleton(lines: Lines) -> tuple[dict[str, _Bone], float]:
    """Return bones by name, parents first, and what lengths are multiplied by (to inches, in CMU's files)."""
    bones, section, name, length, scale = {ROOT: _Bone()}, "", ROOT, 1.0, 1.0
    direction, tree = np.zeros(3), dict[str, str]()
    for number, (key, *rest) in lines:
        match (section, key.lower()):
            case (_, low) if low.startswith(":"):
                section, name = low, ROOT
            case (":units", "length"):
                scale = 1 / float(rest[0])
            case (":units", "angle") if not rest[0].lower().startswith("deg"):
                raise DataError(f"line {number}: angles in {rest[0]} are not read, only degrees")
            case (":root", "order") | (":bonedata", "dof"):
                bones[name].dof = tuple(word.lower() for word in rest)
            case (":root", "position"):
                bones[ROOT].vector = np.array([*map(float, rest)])
            case (":root", "orientation") if any(map(float, rest)):
                raise DataError(f"line {number}: a root that is turned in its rest pose is not read")
            case (":bonedata", "name"):
                name = rest[0]
                if name in bones or len(bones) > MOST_JOINTS:
                    raise DataError(f"line {number}: there is a bone {name} already, or there are too many")
                bones[name] = _Bone()
            case (":bonedata", "axis"):
                bones[name].axis = ([*map(float, rest[:3])], rest[3].lower())
            case (":bonedata", "direction"):
                direction = np.array([*map(float, rest)])
            case (":bonedata", "length"):
                length = float(rest[0])
            case (":bonedata", "end"):
                bones[name].vector = direction * length
            case (":hierarchy", low) if low not in ("begin", "end"):
                tree |= dict.fromkeys(rest, key)
    ordered = [ROOT]
    for above in ordered:
        ordered += [child for child, parent in tree.items() if parent == above and child not in ordered]
    whole = set(ordered) == set(bones) and {*bones[ROOT].dof} == {"tx", "ty", "tz", "rx", "ry", "rz"}
    for name in ordered[1:] if whole else ():
        bones[name].parent = tree[name]
        lengths = bones[name].vector * scale
        whole &= lengths.shape == (3,) and bool((np.abs(lengths) < LARGEST).all())
        whole &= {*bones[name].dof} <= {"rx", "ry", "rz"} and sorted(bones[name].axis[1]) == [*"xyz"]
    if not whole:
        raise DataError(
            "bones do not make a tree, or have directions or degrees of freedom that are not read"
        )
    return {name: bones[name] for name in ordered}, scale


def _frames(lines: Lines, bones: dict[str, _Bone]) -> dict[str, Array]:
    """Return the channels of each moving bone in every frame, [F, its degrees of freedom]."""
    found: dict[str, list[list[float]]] = {name: [] for name, bone in bones.items() if bone.dof}
    frames = 0
    for number, (key, *rest) in lines:
        if key.isdigit() and not rest:
            frames += 1
        elif key.lower() not in (":fully-specified", ":degrees"):
            try:
                values = np.array(rest, np.float64)
            except ValueError:
                values = np.array([np.nan])
            known = key in found and len(found[key]) == frames - 1 and frames * len(found) < MOST_NUMBERS
            if not known or len(values) != len(bones[key].dof) or not (np.abs(values) < LARGEST).all():
                raise DataError(
                    f"line {number}: {' '.join([key, *rest])[:40]!r} does not fit the skeleton, whose moving bones "
                    "come once in a frame with their degrees of freedom; take both files from one source"
                )
            found[key].append(values.tolist())
    if frames < FEWEST_FRAMES or any(len(rows) != frames for rows in found.values()):
        raise DataError(f"has {frames} frames, the last incomplete or too few; copy it again")
    return {name: np.array(rows) for name, rows in found.items()}
