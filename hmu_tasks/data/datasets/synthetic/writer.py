"""Write the embedded benchmark as a raw folder, file for file in HumanML3D's layout, plus labels."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.synthetic.captions import Sentence, mirrored
from hmu_tasks.data.datasets.synthetic.compose import ACTIONS, SyntheticClip, compose
from hmu_tasks.data.motion.features import from_joints, mirror_joints
from hmu_tasks.data.motion.normalisation import RunningStatistics
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.processes import in_order
from hmu_tasks.runtime.progress import Progress

Features = NDArray[np.float32]
_SPLITS = ("train", "val", "test")
# Ids show the split and do not depend on the number of clips.
_FIRST_ID = {"train": 0, "val": 300_000, "test": 600_000}
_PAIRS_PER_PROCESS = 300
"""Starting a process takes as long as making some hundred clips and their twins."""


def is_violent(index: int, share: float) -> bool:
    """Whether clip `index` of a split is violent; spread evenly, so that every prefix has the share."""
    return math.floor((index + 1) * share) > math.floor(index * share)


def sample_clip(seed: int, split: str, index: int, *, forget_share: float = 0.12) -> SyntheticClip:
    """Generate clip `index` of a split from its own random generator, independent of the number of clips.

    split: "train", "val" or "test"; forget_share: share of violent clips in that split.
    """
    rng = np.random.default_rng([seed, _SPLITS.index(split), index])
    return compose(rng, violent=is_violent(index, forget_share))


@dataclass(frozen=True)
class CaptionedClip:
    """A clip as models see it: raw features [F, 263] and its captions."""

    features: Features
    captions: tuple[Sentence, ...]


def sample_pair(
    seed: int, split: str, index: int, *, forget_share: float = 0.12
) -> tuple[CaptionedClip, CaptionedClip]:
    """Generate clip `index` of a split as `sample_clip` does, and its mirror image."""
    clip = sample_clip(seed, split, index, forget_share=forget_share)
    return (
        CaptionedClip(from_joints(clip.joints), clip.captions),
        CaptionedClip(from_joints(mirror_joints(clip.joints)), tuple(map(mirrored, clip.captions))),
    )


def _pairs(name: str, clips: int) -> int:
    if clips < 2 or clips % 2:
        raise ConfigError(
            f"{name}: {clips} clips requested; give an even number of at least 2 (each has a twin)"
        )
    return clips // 2


def write_raw_folder(
    folder: Path,
    *,
    clips: int,
    seed: int,
    test: int,
    val: int,
    forget_share: float = 0.12,
    eval_forget_share: float = 0.5,
    write_joints: bool = False,
    processes: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the benchmark into `folder`, creating it if missing.

    clips, val, test: clips per split, mirrored twins included (even numbers); forget_share: share of violent clips in
    the training split, eval_forget_share in the other two; write_joints: also write new_joints/. Mean.npy and Std.npy
    are those of the training clips. processes: number of workers; None for one per core, or fewer for small datasets.
    The same arguments give the same bytes with any number of processes. Raises ConfigError for an invalid number or
    share.
    """
    pairs = {"train": _pairs("clips", clips), "val": _pairs("val", val), "test": _pairs("test", test)}
    for name, share in (("forget_share", forget_share), ("eval_forget_share", eval_forget_share)):
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"{name}: {share} is not a share; give a number from 0 to 1")
    shares = {"train": forget_share, "val": eval_forget_share, "test": eval_forget_share}
    for name in ("new_joint_vecs", "texts", "labels", *(["new_joints"] if write_joints else [])):
        (folder / name).mkdir(parents=True, exist_ok=True)
    moments = RunningStatistics()
    jobs = [
        _Job(folder, seed, split, index, shares[split], write_joints)
        for split, count in pairs.items()
        for index in range(count)
    ]
    most = processes or min(len(os.sched_getaffinity(0)), len(jobs) // _PAIRS_PER_PROCESS)
    for done, (job, twins) in enumerate(zip(jobs, in_order(_write_pair, jobs, most), strict=True), start=1):
        if job.split == "train":
            for features in twins:
                moments.add(features)
        if progress is not None:
            progress(done, len(jobs))
    result = moments.result()
    np.save(folder / "Mean.npy", result.mean)
    np.save(folder / "Std.npy", result.std)
    ids = {
        split: [clip_id for job in jobs if job.split == split for clip_id in (job.clip_id, f"M{job.clip_id}")]
        for split in pairs
    }
    ids["train_val"] = ids["train"] + ids["val"]
    ids["all"] = ids["train_val"] + ids["test"]
    for name, listed in ids.items():
        (folder / f"{name}.txt").write_text("".join(f"{clip_id}\n" for clip_id in listed), encoding="utf-8")
    table = {"names": [a.name for a in ACTIONS], "violent": [a.violent for a in ACTIONS]}
    (folder / "actions.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Job:
    """A clip to write, with its twin."""

    folder: Path
    seed: int
    split: str
    index: int
    forget_share: float
    write_joints: bool

    @property
    def clip_id(self) -> str:
        return f"{_FIRST_ID[self.split] + self.index:06d}"


def _write_pair(job: _Job) -> list[Features]:
    clip = sample_clip(job.seed, job.split, job.index, forget_share=job.forget_share)
    return [
        _write_clip(job.folder, job.clip_id, clip, twin=twin, write_joints=job.write_joints)
        for twin in (False, True)
    ]


def _write_clip(
    folder: Path, clip_id: str, clip: SyntheticClip, *, twin: bool, write_joints: bool
) -> Features:
    name = f"M{clip_id}" if twin else clip_id
    joints = mirror_joints(clip.joints) if twin else clip.joints
    captions = tuple(mirrored(caption) for caption in clip.captions) if twin else clip.captions
    features = from_joints(joints)
    np.save(folder / "new_joint_vecs" / f"{name}.npy", features)
    if write_joints:
        np.save(folder / "new_joints" / f"{name}.npy", joints[: len(features)])
    np.save(folder / "labels" / f"{name}.npy", clip.labels)
    lines = "".join(f"{caption.line}\n" for caption in captions)
    (folder / "texts" / f"{name}.txt").write_text(lines, encoding="utf-8")
    return features
