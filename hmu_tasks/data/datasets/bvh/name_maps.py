"""Name maps from a file's joints to the 22 of SMPL: YAML files, chosen by the joint names of a file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.motion.skeleton import JOINTS
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.runtime.yaml_files import read_yaml

FOLDER: Final = Path(__file__).parent / "skeletons"
_LISTED: Final = 12  # names listed in a message
_NAMESPACE: Final = re.compile("[:|]")
_SEPARATORS: Final = re.compile(r"[\s_.-]")


@dataclass(frozen=True)
class JointPoint:
    """A point between two joints; `at` is 0 at the first and 1 at the second."""

    first: str
    second: str
    at: float = 0.0


@dataclass(frozen=True)
class NameMap:
    """A place for each of the 22 joints, in order."""

    name: str
    places: tuple[JointPoint, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """Distinct names of the joints that a file must have, in the order of the 22."""
        return tuple(dict.fromkeys(name for place in self.places for name in (place.first, place.second)))

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Needed joints that are not among `names`; case, separators and a prefix that all share are ignored."""
        known = set(self._read(tuple(names)))
        return tuple(name for name in self.needed if plain(name) not in known)

    def pick(self, world: NDArray[np.float64], names: tuple[str, ...]) -> NDArray[np.float64]:
        """Select the 22 joints: [F, J, 3] -> [F, 22, 3]. No name may be missing."""
        where = {name: number for number, name in enumerate(self._read(names))}
        first = [where[plain(place.first)] for place in self.places]
        second = [where[plain(place.second)] for place in self.places]
        at = np.array([place.at for place in self.places])[:, None]
        picked: NDArray[np.float64] = world[:, first] * (1 - at) + world[:, second] * at
        return picked

    def _read(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Plain names of a file's joints, with or without their common prefix, whichever fits better."""
        needed = {plain(name) for name in self.needed}
        return min(readings(names), key=lambda read: len(needed - set(read)))


def shipped() -> dict[str, NameMap]:
    """Read all name maps shipped with the project, by name."""
    return {file.stem: load(file) for file in sorted(FOLDER.glob("*.yaml"))}


@cache
def load(file: Path) -> NameMap:
    """Read a name map from a YAML file; raises ConfigError naming the file, the key and the fault."""
    values = read_yaml(file, advice="ingest.bvh.skeleton names it")
    joints = values.get("joints") if set(values) == {"joints"} else None
    if not isinstance(joints, dict):
        raise ConfigError(f"{file} must hold one key, joints, with a joint of the file for each of the 22")
    missing, unknown = [j for j in JOINTS if j not in joints], [j for j in joints if j not in JOINTS]
    if missing or unknown:
        raise ConfigError(
            f"{file}: joints must list all 22; missing: {_few(missing)}; unknown: {_few(unknown)}"
        )
    return NameMap(file.stem, tuple(_place(joints[joint], f"{file}: joints.{joint}") for joint in JOINTS))


def choose(skeleton: str, names: tuple[str, ...]) -> NameMap:
    """Return the name map for a file with these joints.

    skeleton: "auto" (the shipped map that uses most of the names), a shipped map's name, or a YAML file's path.
    Raises DataError listing missing joints, or ConfigError listing the shipped maps.
    """
    if skeleton != "auto":
        return _fitting(named(skeleton), names)
    maps = shipped().values()
    fitting = [one for one in maps if not one.missing(names)]
    if fitting:
        return max(fitting, key=lambda one: len(one.needed))
    nearest = min(maps, key=lambda one: len(one.missing(names)) / len(one.needed))
    raise DataError(
        f"has a skeleton that fits none of the name maps ({', '.join(one.name for one in maps)}); "
        f"the closest, {nearest.name}, is missing {_few(nearest.missing(names))}. The file has {_few(names)}. "
        "`python -m hmu_tasks skeleton FILE.bvh` proposes a name map: correct it, save it, and set ingest.bvh.skeleton "
        "to its path"
    )


def named(skeleton: str) -> NameMap:
    """Return a shipped map by name, or read the YAML file at that path; raises ConfigError listing the choices."""
    maps = shipped()
    if skeleton in maps:
        return maps[skeleton]
    if Path(skeleton).suffix.lower() in (".yaml", ".yml"):
        return load(Path(skeleton))
    raise ConfigError(
        f"ingest.bvh.skeleton is {skeleton!r}; choose auto, {', '.join(maps)}, or the path of a .yaml file"
    )


def _fitting(chosen: NameMap, names: tuple[str, ...]) -> NameMap:
    missing = chosen.missing(names)
    if missing:
        raise DataError(
            f"is missing the joints {_few(missing)} of the name map {chosen.name}; it has {_few(names)}. "
            "Set ingest.bvh.skeleton to auto or to the map of this skeleton"
        )
    return chosen


def _place(value: Any, where: str) -> JointPoint:
    if isinstance(value, str) and value:
        return JointPoint(value, value)
    if isinstance(value, Mapping) and set(value) == {"between", "at"}:
        pair, at = value["between"], value["at"]
        good = isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)
        if good and isinstance(at, int | float) and 0 <= at <= 1:
            return JointPoint(pair[0], pair[1], float(at))
    raise ConfigError(f"{where} must be a joint's name, or {{between: [one, other], at: 0 to 1}}")


def plain(name: str) -> str:
    """Name of a joint without namespace, case, blanks, underscores, points and hyphens."""
    return _SEPARATORS.sub("", _NAMESPACE.split(name)[-1]).casefold()


def readings(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Plain names of a file's joints: as they are, and without the prefix that all but the root begin with.

    Exporters write "mixamorig:Hips", "Bip01 Pelvis" below a root "Bip01", or "Character1_LeftUpLeg".
    """
    bare = tuple(map(plain, names))
    prefix = ""
    if len(bare) > 2:
        first, last = min(bare[1:]), max(bare[1:])  # what these share, all share
        ends = (n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
        prefix = first[: next(ends, min(len(first), len(last)))]
    return (bare, tuple(name.removeprefix(prefix) for name in bare)) if prefix else (bare,)


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return (", ".join(listed[:_LISTED]) or "nothing") + more
