"""Motion-X as distributed: 322 parameters of SMPL-X per frame, in sub-folders, under names with blanks."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_amass import TO_AMASS, parameters
from tiny_raw import write_splits

from hmu_tasks.data.clips.clips import Clip, Skipped
from hmu_tasks.data.datasets.motionx import find
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.data.datasets.smpl.files import converted
from hmu_tasks.data.datasets.smpl.joints import BODY, REST
from hmu_tasks.data.datasets.synthetic.writer import sample_clip
from hmu_tasks.data.motion.features import from_joints, to_joints
from hmu_tasks.ingest import ingest
from hmu_tasks.runtime.errors import DataError

NAMES = (
    "kungfu/subset_0000/Aerial_Kick_Kungfu Wushu_clip_8",
    "idea400/subset_0011/Walking While_1",
    "GRAB/s1/x",
)


def array_of(joints: np.ndarray) -> np.ndarray:
    """A motion as Motion-X has it: Y up, with hands, face and betas that move none of the 22 joints."""
    turns, path = parameters(joints)
    upright = Rotation.from_matrix(TO_AMASS.T)
    turns[:, :3] = (upright * Rotation.from_rotvec(turns[:, :3])).as_rotvec()
    array = np.random.default_rng(0).normal(size=(len(joints), 322))
    array[:, :66] = turns
    array[:, 309:312] = (path + REST[0]) @ TO_AMASS - REST[0]
    return array.astype(np.float32)


def write_motionx(
    folder: Path, texts: str = "texts/semantic_labels", ending: str = ""
) -> dict[str, np.ndarray]:
    motions = {name: sample_clip(3, "train", number).joints[:80] for number, name in enumerate(NAMES)}
    for name, joints in motions.items():
        for file in (folder / "motion_data/smplx_322" / f"{name}.npy", folder / texts / f"{name}.txt"):
            file.parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / "motion_data/smplx_322" / f"{name}.npy", array_of(joints))
        (folder / texts / f"{name}.txt").write_text(f"a person walks{ending}\n")
    write_splits(folder, {"train": NAMES[:1], "val": NAMES[1:2], "test": NAMES[2:]})
    return motions


def read(folder: Path, **knobs) -> tuple[dict[str, Clip], list[Skipped]]:  # type: ignore[no-untyped-def]
    reader = RawFolder(find(folder), min_frames=24, **knobs)
    return {clip.clip_id: clip for clip in reader.clips()}, reader.skipped


@pytest.mark.parametrize(
    ("texts", "ending"),
    [
        ("texts/semantic_labels", ""),
        ("texts", "#a/DET person/NOUN walk/VERB#0.0#0.0"),
        ("motionx_seq_text_v1.1", ""),
    ],
)
def test_parameters_are_read_directly(tmp_path: Path, texts: str, ending: str) -> None:
    motions = write_motionx(tmp_path, texts, ending)
    clips, skipped = read(tmp_path)
    assert skipped == []
    assert set(clips) == set(NAMES)
    for name, joints in motions.items():
        want = from_joints(joints, offsets=BODY)
        found = clips[name].features
        assert found.shape == want.shape
        local = [to_joints(f)[:, 1:] - to_joints(f)[:, :1] for f in (found, want)]
        assert np.linalg.norm(local[0] - local[1], axis=-1).mean() < 0.007
        assert (found[:, -4:] == want[:, -4:]).all(axis=1).mean() >= 0.97
        assert clips[name].fps == 30.0
        assert clips[name].captions[0].text == "a person walks"


def test_ingest_packs_them(tmp_path: Path) -> None:
    motions = write_motionx(tmp_path / "raw")
    report = ingest(tmp_path / "raw", tmp_path / "clips", dataset="motionx", min_frames=24)
    assert (report.packed.clips, report.packed.frames) == (3, sum(len(j) - 1 for j in motions.values()))


def test_long_and_short_motions_are_left_out_and_counted_as_features_are(tmp_path: Path) -> None:
    write_motionx(tmp_path)
    folder = tmp_path / "motion_data/smplx_322"
    array = np.load(folder / f"{NAMES[0]}.npy")
    np.save(folder / f"{NAMES[0]}.npy", np.concatenate([array] * 3)[:201])
    np.save(folder / f"{NAMES[1]}.npy", array[:24])
    clips, skipped = read(tmp_path)
    assert list(clips) == [NAMES[2]]
    assert [(one.id, one.reason, one.detail[:10]) for one in skipped] == [
        (NAMES[0], "too long", "200 frames"),
        (NAMES[1], "too short", "23 frames;"),
    ]


@pytest.mark.parametrize(
    ("content", "reason", "match"),
    [
        (np.zeros((60, 263), np.float32), "bad motion", r"shape \(60, 263\); expected \[frames, 322\]"),
        (np.full((60, 322), np.nan), "bad motion", "NaN, infinite or huge numbers, first in frame 0"),
        (None, "no motion", "is missing"),
        (np.zeros((60, 322), np.complex64), "bad motion", "type complex64"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: np.ndarray | None, reason: str, match: str) -> None:
    write_motionx(tmp_path)
    file = tmp_path / "motion_data/smplx_322" / f"{NAMES[1]}.npy"
    file.unlink()
    if content is not None:
        np.save(file, content)
    with pytest.raises(DataError, match=match):
        read(tmp_path)
    clips, skipped = read(tmp_path, on_bad="skip")
    assert set(clips) == {NAMES[0], NAMES[2]}
    assert [(one.id, one.reason) for one in skipped] == [(NAMES[1], reason)]


def test_any_number_of_processes_gives_the_same(tmp_path: Path) -> None:
    write_motionx(tmp_path)
    files = [tmp_path / "motion_data/smplx_322" / f"{name}.npy" for name in NAMES] * 9 + [
        tmp_path / "nothing.npy"
    ]
    one, two = list(converted(files, 200, 1)), list(converted(files, 200, 2))
    assert len(one) == len(two) == 28
    assert isinstance(two[-1], FileNotFoundError)
    for first, second in zip(one[:-1], two[:-1], strict=True):
        np.testing.assert_array_equal(first, second)


def test_features_win_over_parameters(tmp_path: Path) -> None:
    write_motionx(tmp_path)
    (tmp_path / "motion_data/vector_263").mkdir()
    assert find(tmp_path).motions == tmp_path / "motion_data/vector_263"
