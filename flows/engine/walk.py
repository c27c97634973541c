"""What the stages of one flow run share, and the contract by which some of them run on other machines."""

from pathlib import Path
from typing import Any, Protocol

from prefect import State

from flows.engine.graph import Stage
from flows.engine.process import Processes
from flows.engine.slots import Slots
from flows.engine.terminal import ProgressView
from hmu_tasks.runtime.console import BAR_VARIABLE
from hmu_tasks.tracking.lineage import PIPELINE_VARIABLE

CACHED = "Cached"
"""State of a stage that was up to date, or restored from a cache."""
LOST = "Lost"
"""State of a stage whose machine is gone; it is retried on another one."""


class Placement(Protocol):
    """Where the stages of a walk run, if not all on this machine."""

    def is_remote(self, stage: Stage) -> bool:
        """Say whether a stage runs on another machine."""

    def run(self, stage: Stage, walk: "Walk") -> State[Any]:
        """Run a remote stage; Failed with the name LOST if its machine is gone. Raises HmuError if it cannot start."""

    def fetch_inputs(self, stage: Stage, walk: "Walk") -> None:
        """Bring the inputs of a stage that runs here from where they were made; raises HmuError if they are missing."""


class Walk:
    """One run of the graph. Not a dataclass: Prefect would copy its fields into every task run."""

    def __init__(
        self,
        *,
        root: Path,
        stages: list[Stage],
        slots: Slots,
        pipeline: str,
        force: bool = False,
        placement: Placement | None = None,
        view: ProgressView | None = None,
    ) -> None:
        """Describe the walk.

        stages: in dependency order
        pipeline: key by which MLflow groups the steps
        force: run what is up to date, too
        placement: None: every stage runs on this machine
        view: shows the walk to a person at a terminal
        """
        self.root = root
        self.stages = {stage.name: stage for stage in stages}
        self.slots = slots
        self.pipeline = pipeline
        self.force = force
        self.placement = placement
        self.view = view or ProgressView()
        self.processes = Processes()
        self.environment = {PIPELINE_VARIABLE: pipeline, BAR_VARIABLE: "1"}
