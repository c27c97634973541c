"""DVC's graph as plain values: which stages there are, what each needs, which are up to date.

Independent of Prefect. dvc.yaml stays the only description of the graph.
"""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

from hmu_tasks.runtime.errors import HmuError

DVC = [sys.executable, "-m", "dvc"]


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml (one cell of a matrix).

    needs: names of the stages whose outputs it reads
    resource: `cpu` or `gpu`, from `meta: {resource: …}`
    data: the .dvc files whose data it reads, relative to the project
    seconds: rough computing time, from `meta: {seconds: …}`, for the priority
    """

    name: str
    needs: tuple[str, ...]
    resource: str = "cpu"
    data: tuple[str, ...] = ()
    seconds: float = 5.0


def manage_without_git(root: Path) -> bool:
    """Let DVC work on a project that lies in no git repository, such as an unpacked archive; returns whether it does.

    The setting stays in .dvc/config.local; a repository that is made later ends it.
    """
    config = root / ".dvc" / "config.local"
    missing = not any((at / ".git").exists() for at in (root, *root.parents))
    set_here = config.is_file() and "no_scm" in config.read_text(encoding="utf-8")
    if missing != set_here and (root / ".dvc").is_dir():
        change = ["core.no_scm", "true"] if missing else ["--unset", "core.no_scm"]
        done = subprocess.run(
            [*DVC, "config", "--local", *change], cwd=root, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise HmuError(f"DVC cannot be told to work without git: {done.stderr.strip()}")
    return missing


def read_stages(root: Path) -> list[Stage]:
    """Read the graph of the project at `root`, in dependency order.

    Outputs tracked by .dvc files are data, not stages, and are left out.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    manage_without_git(root)
    try:
        with Repo(str(root)) as repo:
            graph = repo.index.graph
            found = {}
            for stage in repo.index.stages:
                name = getattr(stage, "name", None)  # `addressing` would depend on the working folder
                if name is None:
                    continue
                if Path(stage.path).resolve() != (root / "dvc.yaml").resolve():
                    raise HmuError(
                        f"{stage.path}: the flow runs only the dvc.yaml in {root}; move them there"
                    )
                inputs = list(graph.successors(stage))
                needs = sorted(str(need.name) for need in inputs if getattr(need, "name", None))
                data = [need.path for need in inputs if getattr(need, "name", None) is None]
                resource = str((stage.meta or {}).get("resource", "cpu"))
                if resource not in {"cpu", "gpu"}:
                    raise HmuError(f"dvc.yaml, stage {name}, meta.resource is {resource!r}; use cpu or gpu")
                seconds = (stage.meta or {}).get("seconds", Stage.seconds)
                if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
                    raise HmuError(f"dvc.yaml, stage {name}, meta.seconds is {seconds!r}; give a number")
                places = sorted(Path(path).relative_to(root).as_posix() for path in data)
                found[str(name)] = Stage(str(name), tuple(needs), resource, tuple(places), float(seconds))
    except DvcException as error:
        raise HmuError(f"DVC cannot read the pipeline in {root}: {error}; `dvc dag` shows where") from error
    order = TopologicalSorter({stage.name: stage.needs for stage in found.values()})
    return [found[name] for name in order.static_order()]


def critical_paths(stages: Sequence[Stage]) -> dict[str, float]:
    """Compute the critical path of each stage: the seconds of it and its longest chain of dependents.

    stages: in dependency order
    """
    seconds = {stage.name: stage.seconds for stage in stages}
    longest = dict(seconds)
    for stage in reversed(stages):
        for need in stage.needs:
            if need in longest:
                longest[need] = max(longest[need], seconds[need] + longest[stage.name])
    return longest


def is_chain(stages: Sequence[Stage], changed: set[str]) -> bool:
    """Return whether the changed stages can only run one after another.

    stages: the whole graph, in dependency order
    """
    ancestors: dict[str, set[str]] = {}
    for stage in stages:
        ancestors[stage.name] = set(stage.needs).union(*(ancestors[need] for need in stage.needs))
    order = [stage.name for stage in stages if stage.name in changed]
    return all(before in ancestors[after] for before, after in pairwise(order))


def select(stages: list[Stage], targets: Iterable[str] | None) -> list[Stage]:
    """Keep the targets and all that they need; `unlearn` stands for all of `unlearn@…`.

    Raises HmuError for a name that matches no stage.
    """
    if targets is None:
        return stages
    by_name = {stage.name: stage for stage in stages}
    wanted: list[str] = []
    for target in targets:
        matching = [name for name in by_name if name == target or name.startswith(f"{target}@")]
        if not matching:
            raise HmuError(f"there is no stage {target!r}; the stages are: {', '.join(by_name)}")
        wanted += matching
    kept: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept.add(name)
            wanted += by_name[name].needs
    return [stage for stage in stages if stage.name in kept]


def changed_stages(root: Path, stages: list[Stage]) -> set[str]:
    """Ask DVC once what is out of date, and add all dependents.

    Dependents may turn out unchanged once their inputs have been made; `dvc repro` finds out then. Raises HmuError when
    DVC cannot tell; waits while another command holds DVC's lock.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    names = {stage.name for stage in stages}
    try:
        with Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
            changed = {
                stage.name
                for stage in repo.index.stages
                if getattr(stage, "name", None) in names and stage.status()
            }
    except (DvcException, OSError) as error:
        raise HmuError(f"DVC cannot tell what is out of date in {root}: {error}") from error
    for stage in stages:
        if changed.intersection(stage.needs):
            changed.add(stage.name)
    return changed
