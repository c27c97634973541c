"""Find in a folder what people have: AMASS unpacked or in archives, HumanAct12, and HumanML3D's index, texts, lists."""

import os
from dataclasses import dataclass
from pathlib import Path

from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.datasets.amass import archives
from hmu_tasks.data.datasets.amass.index import is_index
from hmu_tasks.data.datasets.amass.names import Key, is_archive, is_motion, key_of
from hmu_tasks.data.datasets.links import check_inside
from hmu_tasks.data.datasets.smpl.models import FOLDER
from hmu_tasks.runtime.errors import DataError


@dataclass(frozen=True)
class Archive:
    """An archive and the sub-datasets that it may hold; empty if neither its name nor its first members tell."""

    path: Path
    subs: frozenset[str]


@dataclass(frozen=True)
class Sources:
    """What was found below a folder.

    texts: a folder of ID.txt, or a .zip file of them. lists: the folder of train.txt, val.txt and test.txt.
    files: unpacked motions by key. archives: by path. models: folders named body_models, which hold no motions.
    """

    folder: Path
    index: Path
    texts: Path
    lists: Path
    files: dict[Key, Path]
    archives: tuple[Archive, ...]
    models: tuple[Path, ...] = ()


def has_index(folder: Path) -> bool:
    """Whether a folder holds HumanML3D's index.csv and is thus meant for conversion."""
    return any(
        is_index(file)
        for file in (folder / "index.csv", *sorted(folder.glob("*/index.csv")))
        if file.is_file()
    )


def find(folder: Path) -> Sources:
    """Search a folder and all below it; raises DataError naming what is missing or there twice.

    A link that leads out of the folder is always an error.
    """
    root = folder.resolve()
    indices, texts, lists, packed, models = [], [], [], [], []
    motions: dict[Key, Path] = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        here = Path(place)
        for name in (*folders, *names):
            if (here / name).is_symlink():
                check_inside(here / name, root)
        if "texts" in folders and _has_texts(here / "texts"):
            texts.append(here / "texts")
            folders.remove("texts")
        if FOLDER in folders:
            models.append(here / FOLDER)
            folders.remove(FOLDER)
        if all(f"{split}.txt" in names for split in SPLITS):
            lists.append(here)
        for name in sorted(names):
            file = here / name
            if name == "index.csv" and is_index(file):
                indices.append(file)
            elif name.lower() == "texts.zip":
                texts.append(file)
            elif is_archive(name):
                packed.append(file)
            elif is_motion(name):
                motions.setdefault(key_of(file.relative_to(folder).parts), file)
    return Sources(
        folder,
        _one(indices, folder, "index.csv", "with the columns source_path, start_frame, end_frame, new_name"),
        _one([t for t in texts if t.is_dir()] or texts, folder, "texts or texts.zip", "captions as ID.txt"),
        _one(lists, folder, ", ".join(f"{split}.txt" for split in SPLITS), "the split lists, in one folder"),
        motions,
        tuple(Archive(path, _subs(path)) for path in packed),
        tuple(models),
    )


def _has_texts(folder: Path) -> bool:
    return next(folder.glob("*.txt"), None) is not None


def _one(found: list[Path], folder: Path, name: str, what: str) -> Path:
    """Return the one nearest to the folder."""
    if not found:
        raise DataError(
            f"{folder}: {name} is missing ({what}); it is part of https://github.com/EricGuo5513/HumanML3D: put it, "
            "or a clone of that repository, into the folder"
        )
    nearest = min(len(path.parts) for path in found)
    first, *others = sorted(path for path in found if len(path.parts) == nearest)
    if others:
        raise DataError(f"{folder}: {name} is there twice, {first} and {others[0]}; keep one of them")
    return first


def _subs(archive: Path) -> frozenset[str]:
    try:
        return archives.subs_of(archive)
    except DataError as error:
        raise DataError(f"{archive} {error}, or remove it") from error
