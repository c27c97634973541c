"""The raw folder of the embedded benchmark, file for file as HumanML3D's scripts leave theirs, plus labels."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hmu_tasks.data.features import from_joints, mirror_joints
from hmu_tasks.data.normalisation import RunningStatistics
from hmu_tasks.data.synthetic.captions import mirrored
from hmu_tasks.data.synthetic.compose import ACTIONS, SyntheticClip, compose
from hmu_tasks.errors import ConfigError

_SPLITS = ("train", "val", "test")
# Ids say which split a clip is in and do not depend on how many clips there are.
_FIRST_ID = {"train": 0, "val": 300_000, "test": 600_000}


def is_violent(index: int, share: float) -> bool:
    """Whether clip `index` of a split is violent, spread so evenly that every prefix has the share."""
    return math.floor((index + 1) * share) > math.floor(index * share)


def sample_clip(seed: int, split: str, index: int, *, forget_share: float = 0.12) -> SyntheticClip:
    """Generate clip `index` of a split from its own random stream, whatever the number of clips.

    split: "train", "val" or "test"; forget_share: share of violent clips in that split.
    """
    rng = np.random.default_rng([seed, _SPLITS.index(split), index])
    return compose(rng, violent=is_violent(index, forget_share))


def _pairs(name: str, clips: int) -> int:
    if clips < 2 or clips % 2:
        raise ConfigError(
            f"{name}: {clips} clips asked for; give an even number of 2 or more (each has a twin)"
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
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the benchmark into `folder`, which is made where it is missing.

    clips, val, test: clips of each split, mirrored twins included (even numbers); forget_share: share of violent
    clips in training, eval_forget_share in the other two; write_joints: also new_joints/. Mean.npy and Std.npy are
    those of the training clips. Same arguments, same bytes. ConfigError for an impossible number or share.
    """
    pairs = {"train": _pairs("clips", clips), "val": _pairs("val", val), "test": _pairs("test", test)}
    for name, share in (("forget_share", forget_share), ("eval_forget_share", eval_forget_share)):
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"{name}: {share} is no share; give a number from 0 to 1")
    shares = {"train": forget_share, "val": eval_forget_share, "test": eval_forget_share}
    for name in ("new_joint_vecs", "texts", "labels", *(["new_joints"] if write_joints else [])):
        (folder / name).mkdir(parents=True, exist_ok=True)
    moments = RunningStatistics()
    ids: dict[str, list[str]] = {}
    done, total = 0, sum(pairs.values())
    for split, count in pairs.items():
        ids[split] = []
        for index in range(count):
            clip = sample_clip(seed, split, index, forget_share=shares[split])
            clip_id = f"{_FIRST_ID[split] + index:06d}"
            ids[split] += [clip_id, f"M{clip_id}"]
            for twin in (False, True):
                features = _write_clip(folder, clip_id, clip, twin=twin, write_joints=write_joints)
                if split == "train":
                    moments.add(features)
            done += 1
            if progress is not None:
                progress(done, total)
    result = moments.result()
    np.save(folder / "Mean.npy", result.mean)
    np.save(folder / "Std.npy", result.std)
    ids["train_val"] = ids["train"] + ids["val"]
    ids["all"] = ids["train_val"] + ids["test"]
    for name, listed in ids.items():
        (folder / f"{name}.txt").write_text("".join(f"{clip_id}\n" for clip_id in listed), encoding="utf-8")
    table = {"names": [a.name for a in ACTIONS], "violent": [a.violent for a in ACTIONS]}
    (folder / "actions.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _write_clip(
    folder: Path, clip_id: str, clip: SyntheticClip, *, twin: bool, write_joints: bool
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
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
