"""Recover joint positions from features, for numpy arrays and (differentiably) torch tensors.

The feature dimension identifies the representation: D = 263 with J = 22 joints, or D = 251 with J = 21 (KIT-ML).
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion import rotations
from hmu_tasks.data.motion.layout import Layout, layout_of
from hmu_tasks.data.motion.rotations import Array, library
from hmu_tasks.runtime.errors import DataError


def root_path(features: Array) -> tuple[Array, Array]:
    """Pelvis trajectory and heading: [..., F, D] -> ([..., F, 3] metres, [..., F] radians).

    The angle a is half the heading, as in the features: (cos a, 0, sin a, 0) is the quaternion that rotates the
    heading to +Z. Frame 0 is at x = z = 0 with a = 0.
    """
    layout = _layout(features)
    path, angle = _root_path(features)
    return _in_metres(path, layout), angle


def _layout(features: Array) -> Layout:
    if features.ndim < 2:
        raise DataError(f"features have shape {tuple(features.shape)}; expected [..., frames, features]")
    return layout_of(features.shape[-1])


def _in_metres(lengths: Array, layout: Layout) -> Array:
    return lengths if layout.metres == 1.0 else lengths * layout.metres


def _root_path(features: Array) -> tuple[Array, Array]:
    xp = library(features)
    still = xp.zeros_like(features[..., :1, 0])
    angle = _running_sum(xp.concatenate([still, features[..., :-1, 0]], -1))
    left = xp.concatenate([still, features[..., :-1, 1]], -1)
    ahead = xp.concatenate([still, features[..., :-1, 2]], -1)
    x, z = _unturn(angle, left, ahead)
    return xp.stack([_running_sum(x), features[..., 3], _running_sum(z)], -1), angle


def to_joints(features: Array) -> Array:
    """Recover joints [..., F, J, 3] in metres from the local positions of features [..., F, D].

    The features must be denormalised. All published metrics use this recovery (`recover_from_ric`).
    """
    xp, layout = library(features), _layout(features)
    path, angle = _root_path(features)
    local = features[..., layout.local_positions].reshape(*features.shape[:-1], layout.joints - 1, 3)
    x, z = _unturn(angle[..., None], local[..., 0], local[..., 2])
    others = xp.stack([x + path[..., None, 0], local[..., 1], z + path[..., None, 2]], -1)
    joints: Array = xp.concatenate([path[..., None, :], others], -2)
    return _in_metres(joints, layout)


def to_joints_from_rotations(features: Array, offsets: NDArray[Any]) -> Array:
    """Recover joints [..., F, J, 3] in metres from the rotations of features [..., F, D] and bone offsets [J, 3].

    offsets: metres, as returned by `features.bone_offsets`. Bone lengths are exact; positions drift from those of
    `to_joints` if the features do not come from a rigid body.
    """
    xp, layout = library(features), _layout(features)
    path, angle = root_path(features)
    zero = xp.zeros_like(angle)
    heading = rotations.to_six(xp.stack([xp.cos(angle), zero, xp.sin(angle), zero], -1))
    six = features[..., layout.rotations].reshape(*features.shape[:-1], layout.joints - 1, 6)
    matrices = rotations.six_to_matrix(xp.concatenate([heading[..., None, :], six], -2))
    bones = offsets.astype(np.float32) if isinstance(features, np.ndarray) else features.new_tensor(offsets)
    joints = [path] * layout.joints
    for chain in layout.skeleton.chains:
        # Every chain starts from the heading, the arms' too, because the rotations were solved that way.
        world = matrices[..., 0, :, :]
        for before, joint in pairwise(chain):
            world = world @ matrices[..., joint, :, :]
            joints[joint] = joints[before] + (world @ bones[joint])
    return xp.stack(joints, -2)  # type: ignore[no-any-return]


def _unturn(angle: Array, x: Array, z: Array) -> tuple[Array, Array]:
    # Rotate by -2 * angle about Y: the stored angle is half the heading.
    xp = library(angle)
    c, s = xp.cos(2 * angle), xp.sin(2 * angle)
    return c * x - s * z, s * x + c * z


def _running_sum(x: Array) -> Array:
    # numpy accumulates float32 in float32, torch in a wider type; match torch.
    if isinstance(x, np.ndarray):
        return np.cumsum(x, -1, dtype=np.float64).astype(x.dtype)
    return x.cumsum(-1)
