"""How long the rest of a walk takes: the stages' rough seconds, scaled by how long those that ended really took."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.engine.graph import Stage, critical_paths


@dataclass
class TimeEstimate:
    """Seconds left of some stages on a number of slots.

    stages: those that are out of date, in dependency order; jobs: how many run in parallel
    """

    stages: Sequence[Stage]
    jobs: int = 1
    _left: dict[str, float] = field(default_factory=dict)
    _planned: float = 0.0
    _took: float = 0.0

    def __post_init__(self) -> None:
        self._left = {stage.name: stage.seconds for stage in self.stages}

    def progress(self, stage: str, share: float) -> None:
        """Learn which share of a stage is done, 0 to 1."""
        for one in self.stages:
            if one.name == stage and stage in self._left:
                self._left[stage] = one.seconds * (1.0 - share)

    def end(self, stage: str, seconds: float) -> None:
        """Learn that a stage has ended, and how long it took."""
        self._left.pop(stage, None)
        planned = next((one.seconds for one in self.stages if one.name == stage), 0.0)
        self._planned, self._took = self._planned + planned, self._took + seconds

    def drop(self, stage: str) -> None:
        """Learn that a stage will not run, or was restored: its time says nothing about the others'."""
        self._left.pop(stage, None)

    @property
    def seconds(self) -> float:
        """Seconds left: the longest chain of what is left, or all of it over the slots, whichever is more."""
        rest = [Stage(one.name, one.needs, seconds=self._left.get(one.name, 0.0)) for one in self.stages]
        chain = max(critical_paths(rest).values(), default=0.0)
        pace = self._took / self._planned if self._planned else 1.0
        return pace * max(chain, sum(self._left.values()) / self.jobs)

    @property
    def words(self) -> str:
        """The seconds left in words, such as `about 12 min`."""
        seconds = self.seconds
        if seconds < 90:
            return f"about {max(5, round(seconds / 5) * 5)} s"
        return f"about {round(seconds / 60)} min"


def announcement(changed: Sequence[Stage], *, total: int, jobs: int) -> str:
    """Say before a walk how much there is to do, how long it takes, and that it can be stopped."""
    kept = total - len(changed)
    what = f"{len(changed)} of {total} stages to run" if kept else f"{total} stages to run"
    up_to_date = f" ({kept} are up to date)" if kept else ""
    at_once = f", {jobs} at once" if jobs > 1 else ""
    takes = TimeEstimate(changed, jobs).words
    return f"{what}{up_to_date}{at_once}: {takes}. Ctrl-C stops; the next run goes on where this one was stopped."
