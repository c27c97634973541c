"""One edit of a model, as a method returns it: changed states, what to report, and its cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hmu_tasks.methods.shared.cost import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from hmu_tasks.methods.shared.code_tables import Rows
    from hmu_tasks.models.generators.sampling import Negative


@dataclass(frozen=True)
class ListedChanges:
    """Fields of edit.json about the changed tensors, in addition to digests and the number of changed values.

    rows: the changed rows of each tensor. edited: names of the changed tensors. untouched: names of the components that
    kept their bytes.
    """

    rows: bool = True
    edited: bool = True
    untouched: bool = True


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One edited model, as its difference from the original.

    strength: None where the method has none. states: whole new state dict of each edited component; tensors of the
    original's names, shapes and dtypes, but for those whose rows were deleted. kept: of these, the rows that stay, by
    component and tensor, with their bytes unless the edit is `trained`; configs: entries of the components' config.json
    that change with them. negative: a text that all networks steer away from. report: the method's own entries in
    edit.json.
    """

    strength: int | None
    states: "Mapping[str, Mapping[str, Tensor]]" = field(default_factory=dict)
    kept: "Mapping[str, Mapping[str, Rows]]" = field(default_factory=dict)
    trained: bool = False
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    negative: "Negative | None" = None
    report: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    listed: ListedChanges = field(default_factory=ListedChanges)
