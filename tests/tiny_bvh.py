"""Made-up BVH files: a body in a T-pose under any joint names, in any unit, moved by given rotations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hmu_tasks.data.motion.skeleton import JOINTS, PARENTS

# Metres in the T-pose: X to the left, Y up, Z forward; each joint as seen from its parent.
OFFSETS = {
    "pelvis": (0, 0.93, 0),
    "left_hip": (0.07, -0.08, 0),
    "spine1": (0, 0.12, 0),
    "left_knee": (0, -0.38, 0.01),
    "spine2": (0, 0.14, 0),
    "left_ankle": (0, -0.40, -0.01),
    "spine3": (0, 0.06, 0),
    "left_foot": (0, -0.05, 0.13),
    "neck": (0, 0.21, 0),
    "left_collar": (0.07, 0.12, 0),
    "head": (0, 0.10, 0.02),
    "left_shoulder": (0.12, 0, 0),
    "left_elbow": (0.26, 0, 0),
    "left_wrist": (0.25, 0, 0),
}


def offset_of(joint: str) -> tuple[float, float, float]:
    x, y, z = OFFSETS[joint.replace("right_", "left_")]
    return (-x if joint.startswith("right_") else x, y, z)


def bvh_text(
    frames: int = 60,
    *,
    names: Mapping[str, str] | None = None,
    turns: Mapping[str, Sequence[Sequence[float]]] | None = None,
    path: Sequence[Sequence[float]] | None = None,
    seconds: float = 1 / 30,
    metres: float = 0.01,
    z_up: bool = False,
    prefix: str = "",
) -> str:
    """Write a body of 22 joints called `names` (SMPL's own without); metres: of one unit.

    turns: joint -> [F, 3] degrees about Z, X, Y in this order (BVH's intrinsic angles); without, the arms hang.
    path: [F, 3] metres of the pelvis, relative to standing. z_up: the same body with Z as its vertical axis.
    """
    called = {joint: prefix + (names or {}).get(joint, joint) for joint in JOINTS}
    lines = ["HIERARCHY"]
    order: list[str] = []

    def add(number: int, depth: int) -> None:
        joint, tab = JOINTS[number], "\t" * depth
        x, y, z = (value / metres for value in offset_of(joint))
        place = (x, -z, y) if z_up else (x, y, z)
        lines.append(f"{tab}{'JOINT' if depth else 'ROOT'} {called[joint]}")
        lines.append(tab + "{")
        lines.append(f"{tab}\tOFFSET " + " ".join(f"{value:.6f}" for value in place))
        angles = "Yrotation Xrotation Zrotation" if z_up else "Zrotation Xrotation Yrotation"
        positions = "" if depth else "Xposition Yposition Zposition "
        lines.append(f"{tab}\tCHANNELS {3 if depth else 6} {positions}{angles}")
        order.append(joint)
        children = [child for child, parent in enumerate(PARENTS) if parent == number]
        for child in children:
            add(child, depth + 1)
        if not children:
            lines.extend([f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET 0 0 0", f"{tab}\t}}"])
        lines.append(tab + "}")

    add(0, 0)
    moves = {"left_shoulder": [(-80, 0, 0)] * frames, "right_shoulder": [(80, 0, 0)] * frames} | dict(
        turns or {}
    )
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {seconds:.7f}"]
    for frame in range(frames):
        x, y, z = (np.array(offset_of("pelvis")) + (path[frame] if path is not None else 0)) / metres
        values = [x, -z, y] if z_up else [x, y, z]
        for joint in order:
            a, b, c = moves[joint][frame] if joint in moves else (0, 0, 0)
            # About Z, X, Y with Y up is about -Y, X, Z with Z up.
            values += [-a, b, c] if z_up else [a, b, c]
        lines.append(" ".join(f"{value:.6f}" for value in values))
    return "\n".join(lines) + "\n"


def write_bvh(file: Path, *args: int, **knobs: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(bvh_text(*args, **knobs), encoding="utf-8")  # type: ignore[arg-type]
    return file


def wave(frames: int = 90) -> dict[str, list[tuple[float, float, float]]]:
    """Rotations that raise the right arm and swing the forearm from side to side once in 15 frames."""
    swing = [
        (0.0, 0.0, 0.0) if f < 0 else (-60 + 30 * np.sin(2 * np.pi * f / 15), 0.0, 0.0) for f in range(frames)
    ]
    return {"right_shoulder": [(-20.0, 0.0, 0.0)] * frames, "right_elbow": swing}
