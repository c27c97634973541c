"""Fewer codes: the states of a tokenizer and of networks from which codes were deleted, one list of kept codes a layer.

It needs the model contract only: `CodeNetwork.code_rows` and `output_bias` are rows of parameters, codes first and
special ids after them. Nothing of a deleted code stays behind, and special ids move up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.runtime.errors import ConfigError

Kept = Sequence[Tensor]
"""Ascending ids of the codes that stay, [K'] for each quantizer layer, as many in each."""


@dataclass(frozen=True)
class Rows:
    """Rows of a tensor that stay.

    parts: ids along the first axis, or, with `inner`, along the second, a list for each part along the first. empty:
    shape of a tensor without values, such as a table for layers that a two-layer model does not have.
    """

    parts: tuple[Tensor, ...] = ()
    inner: bool = False
    empty: tuple[int, ...] | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """Return the rows that stay."""
        if self.empty is not None:
            return tensor.new_empty(self.empty)
        if not self.inner:
            return tensor[self.parts[0]]
        return torch.stack([part[ids] for part, ids in zip(tensor, self.parts, strict=True)])


def codebook_rows(state: Mapping[str, Tensor], kept: Kept) -> dict[str, Rows]:
    """Rows that stay of a tokenizer's codebooks, the entries of its state whose names end in `codebook`."""
    names = [name for name in state if name.endswith("codebook")]
    if len(names) != len(kept):
        raise ValueError(f"the tokenizer has {len(names)} codebooks, kept codes are given for {len(kept)}")
    return {name: Rows((ids,)) for name, ids in zip(names, kept, strict=True)}


def network_rows(network: CodeNetwork, kept: Kept, *, codes: int) -> dict[str, Rows]:
    """Rows that stay of every parameter that has rows for codes: embeddings, output projections, biases of logits.

    kept: of each layer; codes: K before. A network of fewer codes is built from `config`, which says what must come
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


def without_rows(state: Mapping[str, Tensor], stay: Mapping[str, Rows]) -> dict[str, Tensor]:
    """Return a state with the rows that stay; everything else is shared."""
    return {
        name: stay[name].of(tensor).contiguous() if name in stay else tensor for name, tensor in state.items()
    }
