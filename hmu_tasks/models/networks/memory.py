"""Batches that shrink when they do not fit into a GPU's memory."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from hmu_tasks.runtime.acceleration import note
from hmu_tasks.runtime.errors import HmuError

Result = TypeVar("Result")


MOST_ON_CPU = 128
"""Rows of a batch on a CPU: more of them only fill its memory."""


def suited(batch: int, device: torch.device) -> int:
    """Return the size of batches of at most `batch` rows on a device; on a GPU `Batches` halves it where needed."""
    return min(batch, MOST_ON_CPU) if device.type == "cpu" else batch


class Batches:
    """Work on rows, at most `size` at a time; where these do not fit into memory, half as many from then on.

    what: names the rows in notes and errors. rewind: generators that a batch advances; a repeated batch finds them as
    they were, so that its rows see the random numbers of the whole one.
    """

    def __init__(self, size: int, *, what: str, rewind: Sequence[torch.Generator] = ()) -> None:
        self.size, self.what, self.rewind = size, what, rewind

    def over(
        self, rows: Sequence[int], work: Callable[[Sequence[int]], Result]
    ) -> Iterator[tuple[Sequence[int], Result]]:
        """Yield the rows of each batch with what `work` makes of them; raises HmuError where one row does not fit."""
        start = 0
        while start < len(rows):
            batch = rows[start : start + self.size]
            before = [generator.get_state() for generator in self.rewind]
            try:
                found = work(batch)
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    raise HmuError(
                        f"a batch of one of the {self.what} does not fit into the GPU's memory; free it (nvidia-smi "
                        "lists the processes), set HMU_STAGES_PER_GPU=1, or set run.device to cpu"
                    ) from error
                self.size = max(len(batch) // 2, 1)
            else:
                yield batch, found
                start += len(batch)
                continue
            # Behind the handler: as long as it runs, the error keeps the failed batch's tensors alive.
            for generator, state in zip(self.rewind, before, strict=True):
                generator.set_state(state)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            note(
                f"{len(batch)} {self.what} do not fit into the GPU's memory at once; now {self.size} at a time"
            )

    def mean(self, rows: Sequence[int], work: Callable[[Sequence[int]], float]) -> float:
        """Mean over all rows of what `work` gives as the mean of a batch; nan without rows."""
        found = [(len(batch), value) for batch, value in self.over(rows, work)]
        if len(found) == 1:
            return found[0][1]  # to the last digit, where a weighted mean would round
        total = sum(count for count, _ in found)
        return sum(count * value for count, value in found) / total if total else math.nan
