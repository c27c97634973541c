"""A picture of a skeleton in its rest pose, from the front and from the side, with the names of its joints."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh import proposal
from hmu_tasks.data.datasets.bvh.reader import read
from hmu_tasks.data.motion.skeleton import JOINTS
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing


def propose_and_draw(file: Path, picture: Path) -> str:
    """Return the proposed name map of a BVH file as YAML and draw its rest pose as mapped.

    Raises DataError, with the file's name, where it cannot be read.
    """
    try:
        recording = read(file, fps=30.0)  # which the rest pose does not need
    except FileNotFoundError:
        raise DataError(f"{file} is missing") from None
    except DataError as error:
        raise DataError(f"{file} {error}") from error
    found = proposal.propose(recording.names)
    joints = proposal.rest_joints(recording, found)
    draw(picture, joints, JOINTS, proposal.bones(), up=proposal.vertical(joints))
    return found.as_yaml(recording.names)


def draw(
    file: Path,
    joints: NDArray[np.float64],
    names: Sequence[str],
    bones: Sequence[tuple[int, int]],
    *,
    up: int,
) -> None:
    """Write a PNG of joints [J, 3]; those that are NaN are left out. up: the vertical axis, 1 or 2."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    depth = 3 - up
    for axes, across, title in ((left, 0, "front"), (right, depth, "side")):
        for one, other in bones:
            axes.plot(joints[[one, other], across], joints[[one, other], up], color="0.5", linewidth=2)
        for place, name in zip(joints, names, strict=True):
            if np.isfinite(place).all():
                side = {"left": "tab:blue", "righ": "tab:red"}.get(name[:4], "black")
                axes.plot(place[across], place[up], "o", color=side)
                axes.annotate(name, (place[across], place[up]), fontsize=6, color=side)
        axes.set_aspect("equal")
        axes.set_title(title)
    with replacing(file) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
