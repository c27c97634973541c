"""Placement of stages on the workers of work pools, with the DVC remote between the machines."""

from typing import Any, Literal

from prefect import State

from flows.cluster import transfer, workspace
from flows.cluster.dispatch import dispatch
from flows.engine.graph import Stage
from flows.engine.walk import Walk


class Pools:
    """GPU stages on workers of the pool gpu (`gpu-pool`), or every stage on a worker of its pool (`pools`)."""

    def __init__(
        self, kind: Literal["gpu-pool", "pools"], place: workspace.Workspace, *, scratch: str, in_place: bool
    ) -> None:
        """Describe the run.

        place: workspace of the flow; workers check out its baseline
        scratch: name of the folder for training checkpoints
        in_place: the workspace is the checkout itself
        Raises HmuError if workers cannot get what this machine has.
        """
        workspace.check_shared(place.root, in_place=in_place)
        self._kind, self._revision = kind, place.baseline
        self._scratch = scratch

    def is_remote(self, stage: Stage) -> bool:
        """Return whether a stage goes to a worker."""
        return self._kind == "pools" or stage.resource == "gpu"

    def run(self, stage: Stage, walk: Walk) -> State[Any]:
        """Run a stage on a worker; raises HmuError if it cannot start."""
        return dispatch(stage, walk, revision=self._revision, scratch=self._scratch)

    def fetch_inputs(self, stage: Stage, walk: Walk) -> None:
        """Pull the inputs of a stage that runs here."""
        transfer.pull(walk, [*stage.needs, *stage.data], label=stage.name)

    def collect(self, walk: Walk) -> None:
        """Send what this machine has made to the DVC remote, and bring here what others have made."""
        here = [stage.name for stage in walk.stages.values() if not self.is_remote(stage)]
        transfer.push(walk, here, label="results")
        transfer.pull(walk, list(walk.stages), label="results")
