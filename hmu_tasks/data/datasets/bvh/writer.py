"""Convert a folder of BVH files with a captions table into a raw folder in HumanML3D's layout, with mirrored twins."""

import math
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.clips.clips import SPLITS, OnBad, Skipped
from hmu_tasks.data.clips.words import tokens_of
from hmu_tasks.data.datasets.bvh.captions import Entry, read_table
from hmu_tasks.data.datasets.bvh.motion import Motion, Units, Up, convert
from hmu_tasks.data.datasets.bvh.name_maps import named
from hmu_tasks.data.datasets.bvh.reader import READ, read
from hmu_tasks.data.datasets.links import check_inside
from hmu_tasks.data.datasets.smpl.joints import BODY
from hmu_tasks.data.motion.features import from_joints, mirror_joints
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import write_json
from hmu_tasks.runtime.progress import Progress

# Sides and turning directions, swapped in the captions of mirrored twins as HumanML3D's authors do.
_SIDES: Final = {
    "left": "right",
    "clockwise": "counterclockwise",
    "leftward": "rightward",
    "leftwards": "rightwards",
}
_SWAPPED: Final = _SIDES | {other: one for one, other in _SIDES.items()}
_LISTED: Final = 20  # bad files listed in an error
_SIDE: Final = re.compile(rf"\b({'|'.join(_SWAPPED)})\b", re.IGNORECASE)


@dataclass
class _Work:
    """What has been written and skipped so far."""

    ids: dict[str, list[str]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    files: dict[str, Any] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


def write_raw_folder(
    target: Path,
    *,
    folder: Path,
    seed: int,
    captions: Path = Path("captions.csv"),
    skeleton: str = "auto",
    units: Units = "auto",
    up: Up = "auto",
    fps: float | None = None,
    mirror: bool = True,
    longest: int = 196,
    on_bad: OnBad = "error",
    progress: Progress | None = None,
) -> None:
    """Convert the BVH files listed in the captions table into HumanML3D's layout in an existing folder `target`.

    folder: of the BVH files; captions: the table, relative to it; skeleton, units, up: see motion.convert;
    fps: frames per second of files without a usable frame time;
    longest: frames per clip; a longer motion is cut into equal parts "ID.1", "ID.2", ..., each with all its captions;
    on_bad: "error" reads every file and then reports all bad ones, "skip" continues without them.
    `target`/bvh.json records how each file was read, and what was skipped and why. seed is unused, as nothing here is
    random; the same files give the same bytes.
    Raises DataError for bad files or a bad table, and immediately for a path that leads out of the folder.
    """
    del seed
    if not folder.is_dir():
        raise DataError(f"{folder} is not a directory; set ingest.bvh.folder to the folder of the BVH files")
    if skeleton != "auto":
        named(skeleton)  # fail early: a wrong name is not the files' fault
    entries = read_table(folder / captions)
    for name in ("new_joint_vecs", "texts"):
        (target / name).mkdir()
    work = _Work()
    root = folder.resolve()
    for done, entry in enumerate(entries, start=1):
        file = folder / entry.file
        check_inside(file, root)
        for skeleton_file in file.parent.glob("*.[aA][sS][fF]") if file.suffix.lower() == ".amc" else ():
            check_inside(skeleton_file, root)
        try:
            motion = convert(read(file, fps=fps), skeleton=skeleton, units=units, up=up)
            parts = [_features(part, mirror=mirror) for part in cut(motion.joints, longest)]
        except FileNotFoundError:
            work.skipped.append(Skipped(str(entry.file), "no motion", f"is missing; {captions} names it"))
        except DataError as error:
            work.skipped.append(Skipped(str(entry.file), "bad motion", str(error)))
        else:
            _write(target, entry, motion, parts, work)
        if progress is not None:
            progress(done, len(entries))
    if work.skipped and on_bad == "error":
        _raise(work.skipped, folder)
    for split, ids in work.ids.items():
        (target / f"{split}.txt").write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    listed = {entry.file.as_posix() for entry in entries}
    found = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in READ
    )
    work.skipped += [
        Skipped(name, "no caption", "not in the table", damaged=False) for name in found if name not in listed
    ]
    write_json(
        target / "bvh.json",
        {
            "files": work.files,
            "skipped": [asdict(entry) for entry in work.skipped],
            "reasons": Counter(entry.reason for entry in work.skipped),
        },
    )


def cut(joints: NDArray[Any], longest: int) -> list[NDArray[Any]]:
    """Cut joints [F, 22, 3] into parts of nearly equal length, each giving at most `longest` rows of features.

    Neighbouring parts share a frame, which the first part needs for the last row of its features.
    """
    rows = len(joints) - 1
    if rows < 1:
        raise DataError("lasts less than two frames at 20 fps; leave it out")
    count = math.ceil(rows / longest)
    bounds = [round(rows * part / count) for part in range(count + 1)]
    return [joints[first : last + 1] for first, last in pairwise(bounds)]


def mirrored(caption: str) -> str:
    """Swap left and right, and clockwise and counterclockwise, in a caption."""

    def swap(match: re.Match[str]) -> str:
        word = match[0]
        other = _SWAPPED[word.lower()]
        return other.capitalize() if word[0].isupper() else other

    return _SIDE.sub(swap, caption)


def _features(joints: NDArray[Any], *, mirror: bool) -> list[NDArray[np.float32]]:
    twins = [joints, mirror_joints(joints)] if mirror else [joints]
    return [from_joints(twin, offsets=BODY) for twin in twins]


def _write(
    target: Path, entry: Entry, motion: Motion, parts: list[list[NDArray[np.float32]]], work: _Work
) -> None:
    clips = {}
    for number, twins in enumerate(parts, start=1):
        clip_id = entry.raw_id if len(parts) == 1 else f"{entry.raw_id}.{number}"
        for letter, features in zip(("", "M"), twins, strict=False):
            name = f"{letter}{clip_id}"
            texts = [mirrored(text) if letter else text for text in entry.captions]
            for place, ending in (("new_joint_vecs", "npy"), ("texts", "txt")):
                file = target / place / f"{name}.{ending}"
                file.parent.mkdir(parents=True, exist_ok=True)
                if file.exists():
                    raise DataError(f"two clips would be called {name}; rename {entry.file}")
                if ending == "npy":
                    np.save(file, features)
                else:
                    file.write_text(
                        "".join(f"{text}#{tokens_of(text)}#0.0#0.0\n" for text in texts), encoding="utf-8"
                    )
            work.ids[entry.split].append(name)
            clips[name] = len(features)
    work.files[entry.file.as_posix()] = {
        "skeleton": motion.skeleton,
        "metres_per_unit": motion.metres,
        "leg_metres": round(motion.leg, 4),
        "up": motion.up,
        "t_pose_dropped": motion.t_pose,
        "assumed": list(motion.assumed),
        "clips": clips,
    }


def _raise(skipped: list[Skipped], folder: Path) -> None:
    listed = "\n".join(f"  {entry.id} {entry.detail}" for entry in skipped[:_LISTED])
    more = f"\n  and {len(skipped) - _LISTED} more" if len(skipped) > _LISTED else ""
    raise DataError(
        f"{folder}: {len(skipped)} files cannot be used. Repair them, remove them from the table, or set "
        f"ingest.bvh.on_bad: skip\n{listed}{more}"
    )
