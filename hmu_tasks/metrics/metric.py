"""The descriptor of a metric: how it is computed, its direction, and where it is shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["higher", "lower", "retrain"]
Role = Literal["forget", "retain"]
Table = Literal["forget", "retain", "detail", "retrieval", "quality", "card-removed", "card-kept"]

# Every split of the records plays one of two roles; a new split needs a line here.
ROLES: dict[str, Role] = {
    "forget": "forget",
    "forget-val": "forget",
    "forget-keyword": "forget",
    "forget-free": "forget",
    "explicit": "forget",
    "implicit": "forget",
    "retain": "retain",
    "retain-val": "retain",
    "benign": "retain",
    "hard_benign": "retain",
}


@dataclass(frozen=True)
class Column:
    """A column of a table of the report, or a row of the model card.

    place: its order within the table. split: of the records it shows; the card has separate rows for every split.
    label: head of the column, the metric's label where empty. percent: shown times 100.
    """

    table: Table
    place: int
    split: str = ""
    label: str = ""
    digits: int = 2
    percent: bool = False


@dataclass(frozen=True)
class Metric:
    """One metric: the descriptor that evaluation, report and registry read.

    better: per role of the split, "higher", "lower", or "retrain" = nearer to the model retrained on D_r. The
        metric is not defined on splits of a missing role.
    reads: the class of `metrics.inputs` that `compute` takes; it returns None where what it needs is missing.
    whole: compute returns one value per repeat, of a whole set of motions; otherwise one per prompt, averaged per
        repeat. NaN excludes a prompt.
    of: the per-prompt metric that this one is derived from, such as a rate before its correction.
    by_keyword: also reported separately for forget prompts with and without a keyword.
    of_real: False if it compares with real motions, so that it is meaningless for the real motions themselves.
    headline: split -> name of its mean in `dvc metrics show`.
    """

    label: str
    unit: str
    better: Mapping[Role, Direction]
    reads: type
    compute: Callable[[Any], Any]
    whole: bool = False
    of: str = ""
    by_keyword: bool = False
    of_real: bool = True
    columns: tuple[Column, ...] = ()
    headline: Mapping[str, str] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits on which the metric is reported."""
        return tuple(split for split, role in ROLES.items() if role in self.better)
