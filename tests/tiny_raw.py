"""Tiny raw folders of KIT-ML and Motion-X with moving bodies: what their owners would bring, at toy size."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hmu_tasks.data.motion.features import from_joints
from hmu_tasks.data.motion.layout import HUMANML3D, KITML, Layout

Texts = Mapping[str, Sequence[str]]


def moving(layout: Layout, frames: int, seed: int) -> np.ndarray:
    """Features [frames, D] of a body of ordinary build that walks in its reference pose and swings a wrist."""
    body = layout.skeleton
    rng = np.random.default_rng(seed)
    pose = np.zeros((layout.joints, 3))
    for joint, parent in enumerate(body.parents):
        if parent >= 0:
            pose[joint] = pose[parent] + 0.2 * body.offsets[joint]
    right_hip, left_hip = body.face[:2]
    pose[:, 0] *= np.sign(pose[left_hip, 0] - pose[right_hip, 0])  # so that toes point where the body faces
    time = np.arange(frames + 1)[:, None] / 20
    path = np.concatenate([0 * time, 0.02 * np.sin(3 * time), time * rng.uniform(0.2, 1.0)], axis=1)
    joints = pose + path[:, None]
    # The last bone of both arms swings about its elbow, so that bones keep their length.
    for chain in body.chains[3:]:
        elbow, wrist = chain[-2:]
        angle = 0.8 * np.sin(time[:, 0] * rng.uniform(1, 6))
        joints[:, wrist] = joints[:, elbow] + 0.2 * np.stack([np.sin(angle), -np.cos(angle), 0 * angle], -1)
    return from_joints(joints, layout=layout)


def write(motions: Path, texts: Path, layout: Layout, clips: Texts, frames: int = 48) -> None:
    """Write features and text lines of clips by id."""
    for number, (name, lines) in enumerate(clips.items()):
        for folder, ending in ((motions, ".npy"), (texts, ".txt")):
            file = folder / f"{name}{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            if ending == ".npy":
                np.save(file, moving(layout, frames + number % 9, number))
            else:
                file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_splits(folder: Path, splits: Mapping[str, Sequence[str]]) -> None:
    """Write the three lists of ids."""
    for split in ("train", "val", "test"):
        (folder / f"{split}.txt").write_text("".join(f"{i}\n" for i in splits[split]), encoding="utf-8")


KICKS = (
    "A human kicks with the left leg.#a/DET human/NOUN kick/VERB with/ADP the/DET left/ADJ leg/NOUN#0.0#0.0"
)
WALKS = "A person walks forwards.#a/DET person/NOUN walk/VERB forwards/ADV#0.0#0.0"
WAVES = "Somebody waves.#somebody/PRON wave/VERB#0.0#0.0"


def write_kitml(folder: Path, texts: Texts | None = None) -> Path:
    """Write KIT-ML: 8 + 4 + 4 clips with mirrored twins, a quarter of them kicks, or with texts of one's own."""
    splits = {}
    clips: dict[str, Sequence[str]] = {}
    given = list((texts or {}).values())
    for start, (split, count) in enumerate((("train", 8), ("val", 4), ("test", 4))):
        ids = [f"{100 * start + number:05d}" for number in range(count)]
        for number, name in enumerate(ids):
            lines = (
                given[(number + start) % len(given)]
                if given
                else [KICKS]
                if number % 4 == 0
                else [WALKS, WAVES]
            )
            clips |= {name: lines, f"M{name}": lines}
        splits[split] = [twin for name in ids for twin in (name, f"M{name}")]
    write(folder / "new_joint_vecs", folder / "texts", KITML, clips, frames=28)
    write_splits(folder, splits)
    return folder


def write_motionx(folder: Path) -> Path:
    """Write Motion-X in its authors' folders: ids with slashes, spaces and underscores, and captions without tokens."""
    names = {
        "train": [
            "kungfu/subset_0000/Aerial_Kick_Kungfu Wushu_clip_8",
            "humanml/000021",
            "humanml/M000021",
            "idea400/subset_0011/Walking_While Clapping_clip_1",
            "EgoBody/recording_20210918_S05_S06_04/body_idx_1/000",
            "fitness/subset_0006/Criss_Cross_To_Push_Away_clip_14",
        ],
        "val": [
            "game_motion/subset_0015/Katana_Rip_clip_8",
            "game_motion/subset_0015/Katana_Rip_clip_9",
            "GRAB/s4/stanfordbunny_lift",
            "GRAB/s4/stanfordbunny_pass_1",
        ],
        "test": [
            "HAA500/subset_0004/Punching Bag_clip_4",
            "HAA500/subset_0004/Punching Bag_clip_5",
            "aist/subset_0004/Dance_Krump_Stomp_clip_3",
            "aist/subset_0004/Dance_Krump_Stomp_clip_4",
        ],
    }
    said = {
        "Kick": ["a person does an aerial kick"],
        "Katana": ["someone strikes with a sword and kicks"],
        "Punching": ["a man punches a bag"],
        "000021": [WALKS, WAVES],
    }
    clips = {
        name: next((lines for word, lines in said.items() if word in name), ["a person moves calmly"])
        for ids in names.values()
        for name in ids
    }
    write(folder / "motion_data" / "vector_263", folder / "texts" / "semantic_labels", HUMANML3D, clips, 30)
    write_splits(folder, names)
    return folder
