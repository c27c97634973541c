"""Which stage starts next: those whose inputs are there, the longest critical path first."""

import heapq
import itertools
from collections.abc import Sequence
from graphlib import TopologicalSorter

from flows.engine.graph import Stage


class ReadyQueue:
    """Stages whose inputs are there. Priority: critical-path seconds; ties FIFO."""

    def __init__(self, stages: Sequence[Stage], critical: dict[str, float]) -> None:
        """Describe the graph.

        critical: seconds of each stage and the longest chain of stages that depend on it
        """
        known = {stage.name: stage for stage in stages}
        self._stages = known
        self._sorter = TopologicalSorter(
            {stage.name: [need for need in stage.needs if need in known] for stage in stages}
        )
        self._sorter.prepare()
        self._critical = critical
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, str]] = []
        self._refill()

    def _refill(self) -> None:
        for name in sorted(self._sorter.get_ready(), key=list(self._stages).index):
            heapq.heappush(self._waiting, (-self._critical[name], next(self._numbers), name))

    def done(self, name: str) -> None:
        """Note that a stage ended well; stages behind one that did not are never ready."""
        self._sorter.done(name)
        self._refill()

    def take(self, free: dict[str, float], kind: dict[str, str]) -> list[Stage]:
        """Take the stages that can start now; counts down `free`, the number of free places by kind.

        kind: which places a stage needs, by its name
        """
        taken, kept = [], []
        while self._waiting:
            entry = heapq.heappop(self._waiting)
            place = kind[entry[2]]
            if free[place] > 0:
                free[place] -= 1
                taken.append(self._stages[entry[2]])
            else:
                kept.append(entry)
        for entry in kept:
            heapq.heappush(self._waiting, entry)
        return taken
