"""Other numbers of codes: states of a tokenizer and of networks whose tables lose the rows of codes, or get new ones.

It needs the model contract only: `CodeNetwork.code_rows` and `output_bias` are rows of parameters, codes first and
special ids after them. Nothing of a deleted code stays behind; special ids follow the codes again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.runtime.errors import ConfigError

Kept = Sequence[Tensor]
"""The codes of each quantizer layer, [K'], as many in each: ids of codes that stay, NEW for one that comes."""
NEW = -1


@dataclass(frozen=True)
class Rows:
    """Rows of a tensor that stay or come.

    parts: ids along the first axis, or, with `inner`, along the second, a list for each part along the first. empty:
    shape of a tensor without values, such as a table for layers that a two-layer model does not have.
    """

    parts: tuple[Tensor, ...] = ()
    inner: bool = False
    empty: tuple[int, ...] | None = None

    def of(self, tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the rows that stay, and for new ones random rows of the table's mean and standard deviation."""
        if self.empty is not None:
            return tensor.new_empty(self.empty)
        if not self.inner:
            return _rows(tensor, self.parts[0], generator)
        parts = zip(tensor, self.parts, strict=True)
        return torch.stack([_rows(part, ids, generator) for part, ids in parts])


def _rows(table: Tensor, ids: Tensor, generator: torch.Generator | None) -> Tensor:
    found, new = table[ids.clamp(min=0)], ids == NEW
    if generator is not None and bool(new.any()):
        noise = torch.randn((int(new.sum()), *table.shape[1:]), generator=generator).to(table)
        found[new] = table.mean(dim=0) + table.std() * noise
    return found


def codebook_rows(state: Mapping[str, Tensor], kept: Kept) -> dict[str, Rows]:
    """Rows of a tokenizer's codebooks, the entries of its state whose names end in `codebook`."""
    names = [name for name in state if name.endswith("codebook")]
    if len(names) != len(kept):
        raise ValueError(f"the tokenizer has {len(names)} codebooks, kept codes are given for {len(kept)}")
    return {name: Rows((ids,)) for name, ids in zip(names, kept, strict=True)}


def network_rows(network: CodeNetwork, kept: Kept, *, codes: int) -> dict[str, Rows]:
    """Rows of every parameter that has rows for codes: embeddings, output projections, biases of logits.

    kept: of each layer; codes: K before. A network of that many codes is built from `config`, which says what must come
    out. Raises ConfigError where the rows that the network names do not lead there.
    """
    state = network.state_dict()
    kind: Any = type(network)
    config: Any = network.config
    wanted: dict[str, Tensor] = kind(replace(config, codes=len(kept[0]))).state_dict()
    found: dict[str, dict[int | None, Tensor]] = {}
    for layer, ids in enumerate(kept):
        bias = network.output_bias(layer)
        for rows in [*network.code_rows(layer), *([] if bias is None else [bias])]:
            name, place = _entry(state, rows)
            special = torch.arange(codes, len(rows))
            found.setdefault(name, {})[place] = torch.cat([ids, special])
    stay = {}
    for name, parts in found.items():
        if None in parts:
            stay[name] = Rows((parts[None],))
        elif len(parts) == len(state[name]):
            stay[name] = Rows(tuple(ids for _, ids in sorted(parts.items(), key=_place)), inner=True)
    for name, tensor in wanted.items():
        if name not in stay and tensor.numel() == 0:
            stay[name] = Rows(empty=tuple(tensor.shape))
        shape = stay[name].of(state[name]).shape if name in stay else state[name].shape
        if shape != tensor.shape:
            raise ConfigError(
                f"codes cannot be deleted: {name} would be {list(shape)}, but a network of {len(kept[0])} codes "
                f"has {list(tensor.shape)}; code_rows and output_bias of {type(network).__name__} must name its rows"
            )
    return stay


def _place(item: tuple[int | None, Tensor]) -> int:
    return -1 if item[0] is None else item[0]


def _entry(state: Mapping[str, Tensor], rows: Tensor) -> tuple[str, int | None]:
    """Find the entry of a state that rows are part of: its name, and the index of the part (None for the whole)."""
    memory = rows.untyped_storage().data_ptr()
    for name, tensor in state.items():
        if tensor.untyped_storage().data_ptr() != memory:
            continue
        if tensor.shape == rows.shape:
            return name, None
        if tensor.shape[1:] == rows.shape:
            return name, (rows.storage_offset() - tensor.storage_offset()) // tensor.stride(0)
    raise ConfigError("codes cannot be deleted: the network's rows of codes are not its parameters")


def with_rows(
    state: Mapping[str, Tensor], rows: Mapping[str, Rows], generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """Return a state with other rows; everything else is shared. generator: of new rows."""
    return {
        name: rows[name].of(tensor, generator).contiguous() if name in rows else tensor
        for name, tensor in state.items()
    }
