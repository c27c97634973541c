"""HumanML3D from AMASS: what its authors' scripts leave, made from archives as downloaded and without a body model."""

import shutil
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hmu_tasks.data.clips.clips import SPLITS, OnBad
from hmu_tasks.data.datasets.amass import archives
from hmu_tasks.data.datasets.amass.convert import FEATURES, JOINTS, Conversion, Task, convert
from hmu_tasks.data.datasets.amass.index import IndexRow, read_index
from hmu_tasks.data.datasets.amass.journal import Journal
from hmu_tasks.data.datasets.amass.missing import Missing, refusal
from hmu_tasks.data.datasets.amass.names import CUTS
from hmu_tasks.data.datasets.amass.sources import Sources, find, has_index
from hmu_tasks.data.datasets.caption_files import read_lines
from hmu_tasks.data.datasets.smpl.models import BETAS, BodyModels, models_in
from hmu_tasks.data.motion.normalisation import RunningStatistics
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing, replacing_folder, write_json
from hmu_tasks.runtime.foreign import ANY, TEXT, check_file, open_file
from hmu_tasks.runtime.processes import as_made, cores
from hmu_tasks.runtime.progress import Progress

_FILES_PER_TASK: Final = 32
_ENTRIES_PER_PROCESS: Final = 60
"""Starting a process takes about as long as converting so many motions."""


@dataclass(frozen=True)
class Converted:
    """The raw folder to read, and what to tell the user about its making."""

    folder: Path
    notes: tuple[str, ...] = ()


def convert_folder(
    source: Path,
    target: Path,
    *,
    on_bad: OnBad = "error",
    processes: int | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Make HumanML3D's raw folder in `target` from AMASS in `source`; a `source` that is one already stays as it is.

    source: archives or unpacked folders of AMASS, HumanAct12, and index.csv, texts and lists of HumanML3D, anywhere
    below; body models in folders named body_models (`smpl.models`). Written: new_joint_vecs and new_joints with
    mirrored twins, texts, the lists, Mean.npy and Std.npy over all clips, and amass.json. Only what the lists name is
    converted. A killed run continues; files added later are converted in addition. processes: None for one per core.
    on_bad: "error" raises DataError that lists by sub-dataset what is missing (before converting anything) or damaged;
    "skip" goes on without it.
    """
    if (source / FEATURES).is_dir() or not has_index(source):
        return Converted(source)
    found = find(source)
    models = models_in(found.models, source)
    listed = _listed(found.lists)
    entries = _wanted(read_index(found.index), listed, found.index)
    places = _places(entries, found)
    missing = Missing(listed)
    for entry in entries:
        if not places[entry.clip_id]:
            missing.add(entry)
    if missing and on_bad == "error":
        raise DataError(refusal(source, missing, len(entries)))
    for part in (FEATURES, JOINTS):
        (target / part).mkdir(parents=True, exist_ok=True)
    for name in (*(f"{split}.txt" for split in SPLITS), "amass.json"):
        (target / name).unlink(missing_ok=True)  # an unfinished folder must not look finished
    there = [entry for entry in entries if places[entry.clip_id]]
    outcomes = _convert(there, places, target, models, processes, progress)
    for entry in there:
        if outcomes[entry.clip_id].fault:
            missing.add(entry, outcomes[entry.clip_id].fault)
    if missing and on_bad == "error":
        raise DataError(refusal(source, missing, len(entries)))
    _remove_others(target, {o.clip_id for o in outcomes.values() if not o.fault})
    _copy_texts(found.texts, target / "texts", [clip_id for ids in listed.values() for clip_id in ids])
    _write_statistics(target)
    write_json(target / "amass.json", _record(entries, outcomes, missing, models))
    for split, ids in listed.items():
        with replacing(target / f"{split}.txt") as temporary:
            temporary.write_text("".join(f"{clip_id}\n" for clip_id in ids), encoding="utf-8")
    return Converted(target, missing.lines())


def _listed(folder: Path) -> dict[str, list[str]]:
    listed = {}
    for split in SPLITS:
        try:
            lines = read_lines(folder / f"{split}.txt")
        except DataError as error:
            raise DataError(f"{folder / split}.txt {error}") from error
        listed[split] = [line.strip() for line in lines if line.strip()]
    return listed


def _wanted(entries: Sequence[IndexRow], listed: dict[str, list[str]], index: Path) -> list[IndexRow]:
    ids = {clip_id for split in listed.values() for clip_id in split}
    wanted = [entry for entry in entries if not ids.isdisjoint((entry.clip_id, f"M{entry.clip_id}"))]
    if not wanted:
        raise DataError(f"{index} names none of the clips of the split lists; take both from one repository")
    return wanted


def _places(entries: Sequence[IndexRow], found: Sources) -> dict[str, tuple[Path, ...]]:
    """For each clip the files and archives that may hold its motion, in the order in which they are tried."""
    loose: dict[tuple[str, ...], list[Path]] = {}
    for key, path in found.files.items():
        if key.sub is None:
            loose.setdefault(key.path[-2:], []).append(path)
    places = {}
    for entry in entries:
        files = [found.files[entry.key]] if entry.key in found.files else []
        if not files and len(loose.get(entry.key.path[-2:], ())) == 1:  # in a folder of another name
            files = loose[entry.key.path[-2:]]
        named = [archive.path for archive in found.archives if entry.sub in archive.subs]
        unnamed = [archive.path for archive in found.archives if not archive.subs]
        places[entry.clip_id] = (*files, *named, *unnamed)
    return places


def _convert(
    entries: Sequence[IndexRow],
    places: dict[str, tuple[Path, ...]],
    target: Path,
    models: BodyModels,
    processes: int | None,
    progress: Progress | None,
) -> dict[str, Conversion]:
    """Convert what has not been converted yet; outcomes by clip."""
    outcomes: dict[str, Conversion] = {}
    most = processes or max(1, min(cores(), len(entries) // _ENTRIES_PER_PROCESS))

    def tell() -> None:
        if progress is not None:
            progress(len(outcomes), len(entries))

    with Journal(target) as journal:
        bodies = tuple(model.path for model in models.found)
        stamps = {entry.clip_id: journal.stamp(entry, (*places[entry.clip_id], *bodies)) for entry in entries}
        waiting: dict[str, tuple[IndexRow, tuple[Path, ...]]] = {}
        for entry in entries:
            made = journal.made(entry, stamps[entry.clip_id])
            if made is not None:
                outcomes[entry.clip_id] = made
            else:
                waiting[entry.clip_id] = (entry, places[entry.clip_id])
        tell()
        while waiting:
            again: dict[str, tuple[IndexRow, tuple[Path, ...]]] = {}
            for outcome in as_made(convert, _tasks(waiting.values(), target, models), most):
                entry, left = waiting[outcome.clip_id]
                if outcome.fault and len(left) > 1:
                    again[outcome.clip_id] = (entry, left[1:])
                    continue
                journal.add(outcome, stamps[outcome.clip_id])
                outcomes[outcome.clip_id] = outcome
                tell()
            waiting = again
    return outcomes


def _tasks(
    waiting: Iterable[tuple[IndexRow, tuple[Path, ...]]], target: Path, models: BodyModels
) -> list[Task]:
    """Tasks for the first place of each entry: large archives first, then files in groups."""
    files: list[tuple[IndexRow, Path]] = []
    packed: dict[Path, list[IndexRow]] = {}
    for entry, (first, *_) in waiting:
        if first.suffix.lower() in (".npz", ".npy"):
            files.append((entry, first))
        else:
            packed.setdefault(first, []).append(entry)
    sizes = sorted(packed, key=lambda path: (-path.stat().st_size, path))
    tasks = [Task(target, tuple(packed[path]), archive=path, models=models) for path in sizes]
    files.sort(key=lambda pair: (pair[1], pair[0].clip_id))
    for start in range(0, len(files), _FILES_PER_TASK):
        group = files[start : start + _FILES_PER_TASK]
        files_of = tuple(path for _, path in group)
        tasks.append(Task(target, tuple(e for e, _ in group), files=files_of, models=models))
    return tasks


def _remove_others(target: Path, kept: set[str]) -> None:
    """Remove clips of an earlier index or lists, and what killed workers left."""
    names = {f"{letter}{clip_id}.npy" for clip_id in kept for letter in ("", "M")}
    for part in (FEATURES, JOINTS):
        for file in (target / part).iterdir():
            if file.name not in names:
                file.unlink()


def _copy_texts(texts: Path, target: Path, ids: Sequence[str]) -> None:
    """Copy the texts of the listed clips; one that is not there is left to the reader of the folder to tell."""
    with replacing_folder(target) as folder:
        if texts.is_dir():
            for clip_id in ids:
                file = texts / f"{clip_id}.txt"
                if file.is_file():
                    check_file(file, limit=TEXT)
                    shutil.copyfile(file, folder / file.name)
            return
        try:
            with open_file(texts, limit=ANY) as opened, zipfile.ZipFile(opened) as archive:
                wanted = {f"{clip_id}.txt" for clip_id in ids}
                for info in archive.infolist():
                    name = info.filename.rpartition("/")[2]
                    if name in wanted and "__MACOSX" not in info.filename:
                        if info.file_size > TEXT:
                            raise DataError(
                                f"{texts} holds {name} of {info.file_size >> 20} MB; download it again"
                            )
                        (folder / name).write_bytes(archive.read(info))
        except archives.DAMAGE as error:
            raise DataError(f"{texts} is damaged ({error}); download it again") from error


def _write_statistics(target: Path) -> None:
    """Mean and standard deviation over all clips, as HumanML3D's cal_mean_variance computes them."""
    statistics = RunningStatistics()
    for file in sorted((target / FEATURES).iterdir()):
        statistics.add(np.load(file, allow_pickle=False))
    if not statistics.frames:
        return  # the reader of the folder tells that there is no clip
    found = statistics.result()
    for name, array in (("Mean.npy", found.mean), ("Std.npy", found.std)):
        with replacing(target / name) as temporary, temporary.open("wb") as opened:
            np.save(opened, array)


def _record(
    entries: Sequence[IndexRow], outcomes: dict[str, Conversion], missing: Missing, models: BodyModels
) -> dict[str, object]:
    subs: dict[str, int] = {}
    shorter = []
    for entry in entries:
        outcome = outcomes.get(entry.clip_id)
        if outcome is None or outcome.fault:
            continue
        subs[entry.sub] = subs.get(entry.sub, 0) + 1
        if not entry.joints and 0 <= entry.start < entry.end and outcome.frames + 1 < entry.end - entry.start:
            shorter.append(entry.clip_id)
    return {
        "motions": subs,
        "missing": missing.as_json(),
        "shorter_than_index": sorted(shorter),
        "assumed": {
            "frames": "every int(fps / 20)-th",
            "cut_frames": dict(CUTS),
            "body": {"models": models.as_json(), "betas": BETAS}
            if models
            else "rest offsets of the mean SMPL body; betas and gender are not read",
        },
    }
