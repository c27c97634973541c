"""Comparison of states before and after an edit: changed tensors and rows, and digests of unchanged tensors."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hmu_tasks.methods.shared.code_tables import Rows


@dataclass(frozen=True)
class TensorChange:
    """One changed tensor; rows: indices along its first axis that differ (empty for a scalar); values: how many do."""

    rows: list[int]
    values: int
    shape: list[int]
    max_abs_change: float
    sha256_before: str
    sha256_after: str


@dataclass(frozen=True)
class DeletedRows:
    """One tensor without some of its rows; values: how many went; the digest of all others is the same as before."""

    values: int
    shape_before: list[int]
    shape: list[int]
    sha256_kept: str


@dataclass(frozen=True)
class TensorDifference:
    """Changed tensors by name, the digest of every tensor that stayed bit-equal, and tensors that lost rows."""

    changed: dict[str, TensorChange]
    unchanged: dict[str, str]
    deleted: dict[str, DeletedRows] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """Number of values that changed."""
        changed = sum(change.values for change in self.changed.values())
        return changed + sum(deletion.values for deletion in self.deleted.values())


def compare_states(
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    *,
    kept: Mapping[str, Rows] | None = None,
    trained: bool = False,
) -> TensorDifference:
    """Compare two state dicts of the same keys, shapes and dtypes, bit by bit (so -0.0 differs from 0.0).

    kept: of tensors that lost rows, those that stay; they must keep their bytes, unless they are `trained` as well:
    then they are compared with the same rows before, and values that are gone count as changed.
    Raises ValueError when keys, shapes or dtypes differ otherwise: an edit replaces values and nothing else.
    """
    stay = kept or {}
    odd = sorted(set(before) ^ set(after))
    if odd:
        raise ValueError(f"an edit must keep all tensors; only one side has {', '.join(odd[:5])}")
    changed: dict[str, TensorChange] = {}
    unchanged: dict[str, str] = {}
    deleted: dict[str, DeletedRows] = {}
    for name in sorted(before):
        old, new = before[name].detach().cpu(), after[name].detach().cpu()
        before_all, gone = _digest(old), 0
        if name in stay:
            rest = stay[name].of(old).contiguous()
            gone = old.numel() - rest.numel()
            if rest.shape == new.shape and _digest(rest) == _digest(new):
                deleted[name] = DeletedRows(gone, list(old.shape), list(new.shape), _digest(new))
                continue
            if not trained:
                raise ValueError(f"the rows of {name} that stay do not keep their bytes")
            old = rest
        if old.shape != new.shape or old.dtype != new.dtype:
            raise ValueError(
                f"{name} changed from {list(old.shape)} {old.dtype} to {list(new.shape)} {new.dtype}"
            )
        after_all = _digest(new)
        if before_all == after_all:
            unchanged[name] = after_all
            continue
        gap = (new.double() - old.double()).abs()
        changed[name] = TensorChange(
            rows=_changed_rows(old, new),
            values=_changed_values(old, new) + gone,
            shape=list(old.shape),
            max_abs_change=float(gap.max()),
            sha256_before=before_all,
            sha256_after=after_all,
        )
    return TensorDifference(changed, unchanged, deleted)


def _bytes(tensor: Tensor) -> Tensor:
    """Return the tensor's memory as [first axis, bytes]; a scalar has one row."""
    rows = tensor.contiguous().reshape(tensor.shape[0] if tensor.ndim else 1, -1)
    return rows.view(torch.uint8)


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(_bytes(tensor).numpy().tobytes()).hexdigest() if tensor.numel() else ""


def _changed_values(old: Tensor, new: Tensor) -> int:
    one, other = (t.contiguous().reshape(-1, 1).view(torch.uint8) for t in (old, new))
    return int((one != other).any(dim=1).sum())


def _changed_rows(old: Tensor, new: Tensor) -> list[int]:
    if old.ndim == 0:
        return []
    rows: list[int] = torch.nonzero((_bytes(old) != _bytes(new)).any(dim=1)).flatten().tolist()
    return rows
