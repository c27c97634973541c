"""Lock entries between machines: all that goes between them beside the DVC remote.

A worker leaves the entry of its stage as a table artifact of its flow run; the flow that waits for it merges the entry
into its own dvc.lock.
"""

import json
from pathlib import Path
from uuid import UUID

from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterId

from flows.engine.lockfile import Entries
from hmu_tasks.runtime.errors import HmuError

SCHEMA = "2.0"
"""Format of dvc.lock."""
_KEY = "lock-entry"


def leave_entries(entries: Entries) -> None:
    """Hand lock entries to the flow run that waits for them, one row per stage: digests and sizes, no data."""
    rows = [{"stage": name, **entry} for name, entry in entries.items()]
    create_table_artifact(rows, key=_KEY, description="Entry of the stage for dvc.lock")


def take_entries(client: SyncPrefectClient, flow_run: UUID) -> Entries:
    """Read the lock entries that a finished flow run has left."""
    found = client.read_artifacts(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])),
        artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[_KEY])),
    )
    if not found:
        raise HmuError(f"flow run {flow_run} has left no lock entry; look at its log in Prefect")
    newest = max(found, key=lambda artifact: artifact.created)  # type: ignore[arg-type,return-value]
    return {row.pop("stage"): row for row in json.loads(str(newest.data))}


def merge_entries(root: Path, entries: Entries) -> None:
    """Write entries into dvc.lock under DVC's own lock; those of other stages are not modified."""
    from dvc.repo import Repo
    from dvc.utils.serialize import modify_yaml

    if not entries:
        return
    with (
        Repo(str(root), _wait_for_lock=True) as repo,
        repo.lock,
        modify_yaml(str(root / "dvc.lock")) as content,
    ):
        content.setdefault("schema", SCHEMA)
        content.setdefault("stages", {}).update(entries)
