"""Curves of a training: named values of each step as tensors, their means, and the points of the curves."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Row = tuple[int, str, float]
Curves = Callable[[Sequence[Row]], None]
"""Receives all points so far whenever there are new ones."""
Values = Mapping[str, Tensor | float]
"""Named values of one step, best as tensors of one number; the same names in every step of a training."""


@dataclass
class History:
    """Curve points as rows (step, name, value), in the order in which they were measured."""

    rows: list[Row] = field(default_factory=list)

    def add(self, step: int, name: str, value: float) -> None:
        """Append one point."""
        self.rows.append((step, name, float(value)))

    def csv(self) -> str:
        """Write the points as a table (step, name, value) with six significant digits; NaN is left empty."""
        lines = ["step,name,value\n"]
        for step, name, value in self.rows:
            lines.append(f"{step},{name},{'' if math.isnan(value) else f'{value:.6g}'}\n")
        return "".join(lines)


class Averages:
    """Running means of named values between two evaluations, summed on the device: reading them waits for it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.names: list[str] = []
        self.total: Tensor | None = None  # [names] float64
        self.count = 0

    def add(self, values: Values) -> None:
        """Add the values of one step; the caller counts the step."""
        if not values:
            return
        found = torch.stack([self._number(value) for value in values.values()])
        if self.total is None:
            self.names, self.total = list(values), torch.zeros_like(found)
        self.total += found

    def _number(self, value: Tensor | float) -> Tensor:
        if isinstance(value, Tensor):
            return value.detach().double()
        return torch.tensor(value, dtype=torch.float64, device=self.device)

    def sums(self) -> dict[str, float]:
        """Return the sums since the last call of `drain`."""
        return {} if self.total is None else dict(zip(self.names, self.total.tolist(), strict=True))

    def load(self, sums: Mapping[str, float], count: int) -> None:
        """Take back sums and their count."""
        self.names, self.count = list(sums), count
        self.total = (
            torch.tensor(list(sums.values()), dtype=torch.float64, device=self.device) if sums else None
        )

    def drain(self) -> dict[str, float]:
        """Return the means since the last call and reset them."""
        means = {name: value / max(self.count, 1) for name, value in self.sums().items()}
        if self.total is not None:
            self.total.zero_()
        self.count = 0
        return means
