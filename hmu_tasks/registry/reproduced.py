"""Whether files are what DVC's record says: every output re-hashed, against present code, parameters and data.

Asked of DVC itself, without the shortcut by time of change that its own commands take: hashes come from the content.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.tracking import lineage

LOCK = "dvc.lock"
_SHOWN = 5  # faults in one message
_REMEDY = (
    "run `dvc repro` and register again; --not-reproduced registers without DVC's record, and the gate refuses such a "
    "version unless the policy allows it"
)


def check_reproduced(root: Path, stages: Sequence[str]) -> None:
    """Check that dvc.lock is that of present code, parameters and data, for stages and all that they rest on.

    Every dependency, every output and, where it is there, every cached copy of an output is hashed by its content.
    Raises DataError naming the files that differ, or what is wrong with dvc.lock.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError

    try:
        with _repository(root) as repository:
            found = list(_faults(root, repository, stages))
    except LockError as error:
        raise DataError(
            "DVC is at work in this checkout, so that its outputs may change; register when it has finished"
        ) from error
    except (YAMLError, ConfigError) as error:
        raise DataError(f"{LOCK} cannot be read: {error}; {_REMEDY}") from error
    except (DvcException, OSError, ValueError) as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise DataError(f"DVC's record cannot be read: {error}{cause}; {_REMEDY}") from error
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise DataError(f"the evidence is not DVC's record: {'; '.join(found[:_SHOWN])}{more}. {_REMEDY}")


@contextmanager
def _repository(root: Path) -> Iterator[Any]:
    """Open the project under DVC's lock and without its memory of hashes, which trusts times of change."""
    from dvc.cachemgr import CacheManager
    from dvc.repo import Repo
    from dvc_data.hashfile.state import StateNoop

    with Repo(str(root)) as repository:
        repository.state.close()
        repository.state = StateNoop()
        repository.cache = CacheManager(repository)
        with repository.lock:
            yield repository


def _faults(root: Path, repository: Any, names: Sequence[str]) -> Iterator[str]:
    lock = root / LOCK
    if not lock.is_file() or not lock.read_text(encoding="utf-8").strip():
        yield f"{LOCK} is {'empty' if lock.is_file() else 'missing'}"
        return
    recorded = lineage.read_lock(root).stages
    content = _Content(repository)
    pipeline = (root / "dvc.yaml").resolve()
    collected = [repository.stage.collect(f"{pipeline}:{name}", with_deps=True) for name in names]
    for stage in dict.fromkeys(one for stages in collected for one in stages):
        name = getattr(stage, "name", None) or str(stage.relpath)
        if stage.frozen:
            yield f"stage {name} is frozen, so that changes before it do not count"
        if stage.is_data_source:
            yield from content.faults(stage.outs, f"{name} records")
            continue
        entry = recorded.get(name)
        if not entry:
            yield f"{LOCK} has no entry for stage {name}"
            continue
        if stage.cmd_changed:
            yield f"the command of stage {name} is not the one in {LOCK}"
        for kind, present in (("deps", stage.deps), ("outs", stage.outs)):
            listed = {str(one["path"]) for one in entry.get(kind, ())}
            paths = {one.def_path for one in present if not _is_params(one)}
            if listed != paths:
                yield f"stage {name} has other {kind} in {LOCK}: {', '.join(sorted(listed ^ paths))}"
        for params in filter(_is_params, stage.deps):
            for keys in params.workspace_status().values():
                changed = f": {', '.join(sorted(keys))}" if isinstance(keys, dict) else f", which is {keys}"
                yield f"stage {name} ran with other parameters in {params.def_path}{changed}"
        files = [one for one in (*stage.deps, *stage.outs) if not _is_params(one)]
        yield from content.faults(files, f"stage {name} has in {LOCK}")


def _is_params(entry: Any) -> bool:
    from dvc.dependency.param import ParamsDependency

    return isinstance(entry, ParamsDependency)


@dataclass
class _Content:
    """Hashes of files and folders as they are now; each is computed once."""

    repository: Any
    _built: dict[str, Any] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _checked: set[str] = field(default_factory=set)

    def faults(self, entries: Iterable[Any], whose: str) -> Iterator[str]:
        """Say which entries differ from their recorded hash, and which cached copies are damaged; each once."""
        for entry in entries:
            for fault in (*self._workspace(entry, whose), *self._cached(entry)):
                if fault not in self._told:
                    self._told.add(fault)
                    yield fault

    def _workspace(self, entry: Any, whose: str) -> Iterator[str]:
        if not entry.hash_info:
            yield f"{entry.def_path} has no digest where {whose} it"
        elif not entry.fs.exists(entry.fs_path):
            yield f"{entry.def_path} is missing"
        elif (now := self._now(entry)).hash_info != entry.hash_info:
            inside = self._inside(entry, now)
            for name in inside:
                yield f"{entry.def_path}/{name} is not the file that {LOCK} names"
            if not inside:
                yield f"{entry.def_path} is not what {whose}"

    def _now(self, entry: Any) -> Any:
        from dvc_data.hashfile.build import build

        path = str(entry.fs_path)
        if path not in self._built:
            odb = self.repository.cache.local
            self._built[path] = build(odb, path, entry.fs, "md5", ignore=entry.dvcignore, dry_run=True)[2]
        return self._built[path]

    def _inside(self, entry: Any, now: Any) -> list[str]:
        """Files of a folder that differ, if the cache still has the folder's recorded list."""
        if not (entry.hash_info.isdir and now.hash_info.isdir):
            return []
        listed = self._listed(entry.hash_info)
        if listed is None:
            return []
        before, after = (
            {"/".join(key): one.value for key, (_, one) in tree.as_dict().items()} for tree in (listed, now)
        )
        return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))

    def _listed(self, recorded: Any) -> Any | None:
        from dvc_data.hashfile.tree import Tree
        from dvc_objects.errors import ObjectFormatError

        try:
            return Tree.load(self.repository.cache.local, recorded)
        except (OSError, ObjectFormatError, ValueError):
            return None

    def _cached(self, entry: Any) -> Iterator[str]:
        """Damaged cached copies of a recorded output; what is not in the cache is no fault."""
        from dvc_data.hashfile.hash import file_md5

        odb = self.repository.cache.local
        if not entry.hash_info or odb is None or entry in entry.stage.deps:
            return
        tree = self._listed(entry.hash_info) if entry.hash_info.isdir else None
        digests = {str(entry.def_path): str(entry.hash_info.value)}
        if tree is not None:
            digests |= {
                f"{entry.def_path}/{'/'.join(key)}": str(one.value)
                for key, (_, one) in tree.as_dict().items()
            }
        for name, digest in digests.items():
            place = odb.oid_to_path(digest)
            if digest in self._checked or not odb.fs.exists(place):
                continue
            self._checked.add(digest)
            if file_md5(place, odb.fs, name="md5") != digest.removesuffix(".dir"):
                shown = self.repository.fs.relpath(place, self.repository.root_dir)
                yield f"{shown}, the cached copy of {name}, is damaged"
