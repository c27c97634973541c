"""Which stage starts next: the ready one on the longest critical path, as soon as it has a slot."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from graphlib import TopologicalSorter

from flows.engine.graph import Stage, critical_paths
from flows.engine.slots import Slot, Slots


class Scheduler:
    """Hands out the stages of a graph in dependency order; one thread asks it.

    A stage is ready once all that it needs have finished, well or not. Priority of ready stages: critical-path seconds;
    ties FIFO. A stage that waits for a GPU seat holds up no stage for the CPU, nor the other way round.
    """

    def __init__(self, stages: Sequence[Stage], slots: Slots, *, needs_slot: Callable[[Stage], bool]) -> None:
        """Take the graph.

        needs_slot: asked when a stage is ready; False for one that takes nothing of this machine
        """
        self._stages = {stage.name: stage for stage in stages}
        self._slots = slots
        self._needs_slot = needs_slot
        self._seconds = critical_paths(stages)
        self._sorter = TopologicalSorter({stage.name: stage.needs for stage in stages})
        self._sorter.prepare()
        self._ready: list[tuple[float, int, str]] = []
        self._queued = 0
        self._taken: dict[str, Slot] = {}

    @property
    def is_active(self) -> bool:
        """Whether there are stages that have not finished."""
        return self._sorter.is_active()

    @property
    def awaits_seat(self) -> bool:
        """Whether a ready stage waits for a GPU seat, which another flow may give back."""
        return any(self._slots.on_gpu(self._stages[name].resource) for *_, name in self._ready)

    def startable(self) -> Iterator[tuple[Stage, Slot | None]]:
        """Yield each stage that starts now, with its slot if it needs one."""
        for name in self._sorter.get_ready():
            heapq.heappush(self._ready, (-self._seconds[name], self._queued, name))
            self._queued += 1
        waiting = []
        while self._ready:
            entry = heapq.heappop(self._ready)
            stage = self._stages[entry[-1]]
            if not self._needs_slot(stage):
                yield stage, None
            elif slot := self._slots.take(stage.resource):
                self._taken[stage.name] = slot
                yield stage, slot
            else:
                waiting.append(entry)
        self._ready = waiting

    def finish(self, name: str) -> None:
        """Give back the slot of a stage that has ended; its dependents may be ready now."""
        if slot := self._taken.pop(name, None):
            self._slots.give_back(slot)
        self._sorter.done(name)

    def close(self) -> None:
        """Give back every slot, after an interruption."""
        while self._taken:
            self._slots.give_back(self._taken.popitem()[1])
