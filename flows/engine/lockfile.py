"""dvc.lock: its entries, those that this machine can honour, and an order independent of which stage ended first.

An entry says which inputs a stage read and which outputs it wrote, by their digests.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flows.engine.graph import Stage
from hmu_tasks.runtime.yaml_files import read_yaml
from hmu_tasks.tracking.lineage import stages_of

Entries = dict[str, dict[str, Any]]


def read_entries(root: Path, names: Iterable[str] | None = None) -> Entries:
    """Read the entries of dvc.lock as plain values, all of them or those of some stages."""
    lock = root / "dvc.lock"
    found: Entries = stages_of(read_yaml(lock), lock) if lock.exists() else {}
    if names is None:
        return found
    return {name: found[name] for name in names if name in found}


def drop_unavailable(root: Path) -> list[str]:
    """Drop the entries whose outputs this machine has neither in its workspace nor in its cache; return their stages.

    Digests of trained outputs depend on the processor's floating point, so that a committed dvc.lock names files that
    another machine has never made. DVC looks up such a stage in the run cache only where the lock has no entry for it;
    with one it trains again, each time, although this machine's own result is in the cache.
    """
    from dvc.repo import Repo
    from dvc.utils.serialize import modify_yaml

    recorded = read_entries(root)
    if not recorded:
        return []
    with Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
        lost = [
            stage.name
            for stage in repo.index.stages
            if getattr(stage, "name", None) in recorded
            and any(out.hash_info and out.changed_cache() and out.workspace_status() for out in stage.outs)
        ]
        if lost:
            with modify_yaml(str(root / "dvc.lock")) as content:
                for name in lost:
                    del content["stages"][name]
    return lost


def lock_order(root: Path) -> list[str]:
    """List the stages in dvc.lock in the order of the file."""
    return list(read_entries(root))


def restore_lock_order(root: Path, before: list[str], stages: list[Stage]) -> None:
    """Put dvc.lock in an order that does not depend on which stage ended first.

    DVC appends new entries as stages end, so that parallel stages would change the committed file's order each time.
    Old entries keep their place, new ones follow the graph.
    """
    from dvc.repo import Repo
    from dvc.utils.serialize import modify_yaml

    rank = {name: at for at, name in enumerate(dict.fromkeys([*before, *(stage.name for stage in stages)]))}
    wanted = sorted(lock_order(root), key=lambda name: rank.get(name, len(rank)))
    if wanted == lock_order(root):
        return
    with (
        Repo(str(root), _wait_for_lock=True) as repo,
        repo.lock,
        modify_yaml(str(root / "dvc.lock")) as content,
    ):
        entries = dict(content["stages"])
        content["stages"].clear()
        for name in sorted(entries, key=lambda name: rank.get(name, len(rank))):
            content["stages"][name] = entries[name]
