"""Unit quaternions [..., 4] (w, x, y, z) and 6-d rotations [..., 6] (Zhou et al. 2019).

Every function takes numpy arrays or torch tensors of any leading shape and returns the same type.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", NDArray[Any], "torch.Tensor")


def library(x: object) -> ModuleType:
    """Return numpy or torch, whichever `x` belongs to, without importing torch for numpy callers."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(x, torch.Tensor) else np


def cross(a: Array, b: Array) -> Array:
    """Cross product over the last axis, broadcasting; faster than numpy's own on small arrays."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return library(a).stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)  # type: ignore[no-any-return]


def unit(x: Array) -> Array:
    """Normalise vectors [..., n] to unit length; a zero vector stays zero."""
    length = library(x).sqrt((x * x).sum(-1))[..., None]
    return x / (length + (length == 0))  # type: ignore[no-any-return]


def conjugate(q: Array) -> Array:
    """Conjugate of quaternions, the inverse of unit quaternions."""
    return library(q).concatenate([q[..., :1], -q[..., 1:]], -1)  # type: ignore[no-any-return]


def multiply(p: Array, q: Array) -> Array:
    """Hamilton product p q: rotate by q, then by p."""
    pw, px, py, pz = p[..., 0], p[..., 1], p[..., 2], p[..., 3]
    qw, qx, qy, qz = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    parts = [
        pw * qw - px * qx - py * qy - pz * qz,
        pw * qx + px * qw + py * qz - pz * qy,
        pw * qy - px * qz + py * qw + pz * qx,
        pw * qz + px * qy - py * qx + pz * qw,
    ]
    return library(p).stack(parts, -1)  # type: ignore[no-any-return]


def rotate(q: Array, v: Array) -> Array:
    """Rotate vectors v [..., 3] by unit quaternions q [..., 4]; both broadcast."""
    axis = q[..., 1:]
    turn = cross(axis, v)
    return v + 2 * (q[..., :1] * turn + cross(axis, turn))  # type: ignore[no-any-return]


def between(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Shortest rotation from direction a [..., 3] to b [..., 3] as a unit quaternion.

    Identity where a or b is zero; a half turn about an axis perpendicular to `a` where they are opposite. The
    official code divides zero by zero in both cases.
    """
    along = (a * b).sum(-1)
    w = np.sqrt((a * a).sum(-1) * (b * b).sum(-1)) + along
    q = np.concatenate([w[..., None], cross(a, b)], -1)
    size = np.sqrt((q * q).sum(-1))
    flat = size < 1e-12
    if flat.any():
        start = np.broadcast_to(a, (*w.shape, 3))
        # Prefer the axis across X: a heading of 180 degrees then turns about the vertical, not upside down.
        sideways = np.abs(start[..., :1]) < 0.9 * np.sqrt((start * start).sum(-1, keepdims=True))
        other = np.where(sideways, np.eye(3, dtype=b.dtype)[0], np.eye(3, dtype=b.dtype)[1])
        half_turn = np.concatenate([np.zeros_like(w)[..., None], unit(cross(start, other))], -1)
        still = np.array([1, 0, 0, 0], dtype=q.dtype)
        q = np.where(flat[..., None], np.where((along < 0)[..., None], half_turn, still), q)
        size = np.where(flat, 1, size)
    return q / size[..., None]  # type: ignore[no-any-return]


def to_six(q: Array) -> Array:
    """Non-zero quaternions -> 6-d rotations: the first two columns of the rotation matrix."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    two = 2.0 / (q * q).sum(-1)
    parts = [
        1 - two * (y * y + z * z),
        two * (x * y + z * w),
        two * (x * z - y * w),
        two * (x * y - z * w),
        1 - two * (x * x + z * z),
        two * (y * z + x * w),
    ]
    return library(q).stack(parts, -1)  # type: ignore[no-any-return]


def six_to_matrix(six: Array) -> Array:
    """6-d rotations -> rotation matrices [..., 3, 3], orthonormalised (Zhou et al. 2019, eq. 15)."""
    x = unit(six[..., :3])
    z = unit(cross(x, six[..., 3:]))
    return library(six).stack([x, cross(z, x), z], -1)  # type: ignore[no-any-return]
