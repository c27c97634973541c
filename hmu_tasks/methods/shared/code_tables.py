"""Other numbers of codes: states of a tokenizer and of networks whose tables lose the rows of codes, or get new ones.

It needs the model contract only: `CodeNetwork.code_rows` and `output_bias` are rows of parameters, codes first and
special ids after them. Nothing of a deleted code stays behind; special ids follow the codes again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.runtime.errors import ConfigError

Coded = TypeVar("Coded", bound=nn.Module)
Kept = Sequence[Tensor]
"""The codes of each quantizer layer, [K'], as many in each: ids of codes that stay, NEW for one that comes."""
NEW = -1


@dataclass(frozen=True)
class Rows:
    """Rows of a tensor that stay or come.

    ids: of its rows, NEW for one that comes. inner: its rows lie in parts along the first axis, such as one table per
    layer, and are counted through all parts. empty: shape of a tensor without values, such as a table for layers that a
    two-layer model does not have.
    """

    ids: Tensor
    inner: bool = False
    empty: tuple[int, ...] | None = None

    def of(self, tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the rows that stay, and for new ones random rows of the table's mean and standard deviation."""
        if self.empty is not None:
            return tensor.new_empty(self.empty)
        table = tensor.flatten(0, 1) if self.inner else tensor
        found, new = table[self.ids.clamp(min=0)], self.ids == NEW
        if generator is not None and bool(new.any()):
            noise = torch.randn((int(new.sum()), *table.shape[1:]), generator=generator).to(table)
            found[new] = table.mean(dim=0) + table.std() * noise
        return found.reshape(len(tensor), -1, *found.shape[1:]) if self.inner else found


def codebook_rows(state: Mapping[str, Tensor], kept: Kept) -> dict[str, Rows]:
    """Rows of a tokenizer's codebooks, the entries of its state whose names end in `codebook`."""
    names = [name for name in state if name.endswith("codebook")]
    if len(names) != len(kept):
        raise ValueError(f"the tokenizer has {len(names)} codebooks, kept codes are given for {len(kept)}")
    return {name: Rows(ids) for name, ids in zip(names, kept, strict=True)}


def network_rows(network: CodeNetwork, kept: Kept, *, codes: int) -> dict[str, Rows]:
    """Rows of every parameter that has rows for codes: embeddings, output projections, biases of logits.

    kept: of each layer; codes: K before. A network of that many codes is built from `config`, which says what must come
    out. Raises ConfigError where the rows that the network names do not lead there.
    """
    state = network.state_dict()
    kind: Any = type(network)
    config: Any = network.config
    wanted: dict[str, Tensor] = kind(replace(config, codes=len(kept[0]))).state_dict()
    found: dict[str, dict[int, Tensor]] = {}
    stacked = set()
    for layer, ids in enumerate(kept):
        bias = network.output_bias(layer)
        for rows in [*network.code_rows(layer), *([] if bias is None else [bias])]:
            name, start = _entry(state, rows)
            if rows.ndim < state[name].ndim:
                stacked.add(name)
            own = torch.cat([ids, torch.arange(codes, len(rows))])  # special ids follow the codes
            found.setdefault(name, {})[start] = torch.where(own == NEW, NEW, own + start)
    stay = {}
    for name, blocks in found.items():
        ids = torch.cat([blocks[start] for start in sorted(blocks)])
        stay[name] = Rows(ids, inner=name in stacked)
    for name, tensor in wanted.items():
        if name not in stay and tensor.numel() == 0:
            stay[name] = Rows(torch.empty(0), empty=tuple(tensor.shape))
        shape = _shape(state[name], stay.get(name))
        if shape != tensor.shape:
            raise ConfigError(
                f"codes cannot be deleted or added: {name} would be {list(shape)}, but a network of {len(kept[0])} "
                f"codes has {list(tensor.shape)}; code_rows and output_bias of {type(network).__name__} must name its "
                "rows"
            )
    return stay


def _shape(tensor: Tensor, rows: Rows | None) -> torch.Size:
    if rows is None:
        return tensor.shape
    if rows.empty is None and rows.inner and len(rows.ids) % len(tensor):
        return torch.Size([len(rows.ids)])  # not all parts are named
    return rows.of(tensor).shape


def _entry(state: Mapping[str, Tensor], rows: Tensor) -> tuple[str, int]:
    """Find the entry of a state that rows are a block of: its name, and the number of the first row."""
    memory = rows.untyped_storage().data_ptr()
    for name, tensor in state.items():
        if (
            tensor.untyped_storage().data_ptr() == memory
            and tensor.shape[tensor.ndim - rows.ndim + 1 :] == rows.shape[1:]
        ):
            width = rows[0].numel()
            return name, (rows.storage_offset() - tensor.storage_offset()) // width
    raise ConfigError("codes cannot be deleted or added: the network's rows of codes are not its parameters")


def with_rows(
    state: Mapping[str, Tensor], rows: Mapping[str, Rows], generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """Return a state with other rows; everything else is shared. generator: of new rows."""
    return {
        name: rows[name].of(tensor, generator).contiguous() if name in rows else tensor
        for name, tensor in state.items()
    }


def rebuilt(network: Coded, state: Mapping[str, Tensor], *, codes: int) -> Coded:
    """Return a tokenizer or network of the same kind and sizes, but for the number of codes, with its state; frozen."""
    kind: Any = type(network)
    config: Any = network.config
    other: Coded = kind(replace(config, codes=codes))
    other.load_state_dict(state)
    return other.eval().requires_grad_(False)
