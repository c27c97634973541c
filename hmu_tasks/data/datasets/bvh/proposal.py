"""Propose a name map for a skeleton: a shipped one that fits, or joints that any shipped map knows by their names."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.bvh.name_maps import JointPoint, plain, readings, shipped
from hmu_tasks.data.datasets.bvh.reader import Recording
from hmu_tasks.data.motion.skeleton import JOINTS, PARENTS

# Joints that may lie between two others where a skeleton lacks them, with the share of the way.
_BETWEEN: Final = {
    "spine1": ("pelvis", "spine3", 0.35),
    "spine2": ("spine1", "spine3", 0.65),
    "spine3": ("spine1", "neck", 0.5),
    "neck": ("spine3", "head", 0.7),
    "left_collar": ("spine3", "left_shoulder", 0.4),
    "right_collar": ("spine3", "right_shoulder", 0.4),
}


@dataclass(frozen=True)
class ProposedMap:
    """A place for each of the 22 joints, None where none was found, and the name of the shipped map that fits."""

    name: str | None
    places: dict[str, JointPoint | None]

    @property
    def complete(self) -> bool:
        """Whether all joints have a place."""
        return all(place is not None for place in self.places.values())

    def as_yaml(self, names: tuple[str, ...]) -> str:
        """Write the name map; joints that were not found stand in comments, with the joints of the file."""
        head = (
            f"# The shipped map {self.name} fits: ingest.bvh.skeleton may stay auto.\n"
            if self.name
            else "# Check each line, save it as .yaml beside the BVH files, and name that in ingest.bvh.skeleton.\n"
        )
        lines = [
            f"  {joint}: {_written(place)}" if place else f"  # {joint}: ?"
            for joint, place in self.places.items()
        ]
        rest = "" if self.complete else f"# Joints of the file: {', '.join(names)}\n"
        return f"{head}{rest}joints:\n" + "\n".join(lines) + "\n"


def propose(names: tuple[str, ...]) -> ProposedMap:
    """Propose places for the 22 joints among the joints of a file, by their names."""
    maps = shipped().values()
    fitting = [one for one in maps if not one.missing(names)]
    if fitting:
        best = max(fitting, key=lambda one: len(one.needed))
        own = {read: name for reading in readings(names) for read, name in zip(reading, names, strict=True)}
        found = [
            JointPoint(own[plain(place.first)], own[plain(place.second)], place.at) for place in best.places
        ]
        return ProposedMap(best.name, dict(zip(JOINTS, found, strict=True)))
    spoken: dict[str, dict[str, int]] = {joint: {} for joint in JOINTS}  # names in all maps, with how often
    for one in maps:
        for joint, place in zip(JOINTS, one.places, strict=True):
            if place.first == place.second:
                spoken[joint][plain(place.first)] = spoken[joint].get(plain(place.first), 0) + 1
    reading = max(
        readings(names), key=lambda read: sum(bool(set(read) & set(known)) for known in spoken.values())
    )
    places: dict[str, JointPoint | None] = {}
    taken: set[str] = set()
    for joint in JOINTS:
        known = sorted(spoken[joint].items(), key=lambda item: (-item[1], item[0]))
        name = next((word for word, _ in known if word in reading and word not in taken), None)
        if name is None:
            places[joint] = None
            continue
        taken.add(name)
        places[joint] = JointPoint(names[reading.index(name)], names[reading.index(name)])
    # Traditions number the spine differently; along the hierarchy, parents come before their children.
    spine = [joint for joint in ("spine1", "spine2", "spine3") if places[joint] is not None]
    ordered = sorted(
        (places[joint] for joint in spine), key=lambda place: names.index(place.first) if place else 0
    )
    places |= dict(zip(spine, ordered, strict=True))
    for joint, (one_end, other_end, at) in _BETWEEN.items():
        first, second = places[one_end], places[other_end]
        if places[joint] is None and first is not None and second is not None:
            places[joint] = JointPoint(first.first, second.first, at)
    return ProposedMap(None, places)


def rest_joints(recording: Recording, proposal: ProposedMap) -> NDArray[np.float64]:
    """Joints of the rest pose, all rotations zero, in the file's units: [22, 3], NaN where a joint has no place."""
    offsets = recording.positions[0].copy()
    offsets[0] = 0.0
    for child, parent in enumerate(recording.parents):
        if parent >= 0:
            offsets[child] += offsets[parent]
    where = dict(zip(recording.names, offsets, strict=True))
    found = np.full((len(JOINTS), 3), np.nan)
    for number, joint in enumerate(JOINTS):
        place = proposal.places[joint]
        if place is not None:
            found[number] = where[place.first] * (1 - place.at) + where[place.second] * place.at
    return found


def vertical(joints: NDArray[np.float64]) -> int:
    """Axis along which joints [22, 3] stand, 1 (Y) or 2 (Z): that of the larger extent."""
    known = joints[np.isfinite(joints).all(axis=1)]
    extent = np.ptp(known, axis=0) if len(known) else np.array([0.0, 1.0, 0.0])
    return 2 if extent[2] > extent[1] else 1


def bones() -> list[tuple[int, int]]:
    """Pairs of joints that a picture connects."""
    return [(parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0]


def _written(place: JointPoint) -> str:
    first, second = _quoted(place.first), _quoted(place.second)
    return first if place.first == place.second else f"{{between: [{first}, {second}], at: {place.at:g}}}"


def _quoted(name: str) -> str:
    """Write a name as YAML, in quotes unless it is letters, digits and underscores."""
    simple = (
        name.replace("_", "a").isalnum()
        and not name[0].isdigit()
        and name.lower() not in ("yes", "no", "null")
    )
    return name if simple else "'" + name.replace("'", "''") + "'"
