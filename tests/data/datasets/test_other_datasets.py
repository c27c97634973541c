"""The raw folders of KIT-ML and Motion-X: file locations, ids and texts."""

import shutil

import numpy as np
import pandas as pd
import pytest
from tiny_raw import WALKS, moving, write, write_kitml, write_motionx, write_splits
from unpacked import unpack

from hmu_tasks import ingest as step
from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.clips import Caption
from hmu_tasks.data.datasets.caption_files import read_lines
from hmu_tasks.data.datasets.motionx import find
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.data.motion.layout import HUMANML3D, KITML
from hmu_tasks.runtime.errors import DataError


def test_kit_clips_are_packed_with_their_own_layout(tmp_path):
    raw = write_kitml(tmp_path / "raw")
    report = step.ingest(raw, tmp_path / "clips", dataset="kitml", min_frames=24)
    assert report.packed.splits == {"train": 16, "val": 8, "test": 8}
    clips = packed.load(tmp_path / "clips")
    assert clips.layout is KITML
    assert clips.fps == 12.5
    assert clips.mean.shape == clips.std.shape == (251,)
    assert set(clips.table["mirror_of"].dropna()) == {i for i in clips.ids() if not i.startswith("M")}
    joints = to_joints(np.array(clips.features("00001")))
    assert joints.shape == (clips.frames("00001"), 21, 3)
    np.testing.assert_array_equal(clips.features("00000"), np.load(raw / "new_joint_vecs/00000.npy"))


def test_kit_keeps_24_to_199_frames(tmp_path):
    clips = {str(frames): [WALKS] for frames in (23, 24, 199, 200)}
    for frames in clips:
        write(tmp_path / "new_joint_vecs", tmp_path / "texts", KITML, {frames: [WALKS]}, int(frames))
    write_splits(tmp_path, {"train": list(clips), "val": [], "test": []})
    report = step.ingest(tmp_path, tmp_path / "clips", dataset="kitml", min_frames=24)
    assert packed.load(tmp_path / "clips").ids() == ["24", "199"]
    assert [(entry.id, entry.reason) for entry in report.skipped] == [
        ("23", "too short"),
        ("200", "too long"),
    ]


def test_features_of_humanml3d_are_refused_as_kit(tmp_path):
    raw = write_kitml(tmp_path / "raw")
    np.save(raw / "new_joint_vecs/00001.npy", moving(HUMANML3D, 30, 1))
    with pytest.raises(DataError, match=r"expected \[frames, 251\]: HumanML3D's features; set run\.dataset"):
        step.ingest(raw, tmp_path / "clips", dataset="kitml", min_frames=24)
    with pytest.raises(DataError, match=r"folder of KIT-ML"):
        step.ingest(tmp_path / "nothing", tmp_path / "clips", dataset="kitml")


def test_real_kit_captions(shared, tmp_path):
    """Real text files with synthetic motions of the real lengths, in the real splits."""
    listed = pd.read_csv(shared / "data/captions/kitml_ids_dev.csv", dtype={"id": str})
    listed = listed[listed["split"].isin(["train", "val"])].iloc[:200]
    wanted = {f"texts/{name}.txt" for name in listed["id"]}
    unpack(shared / "data/captions/kitml_texts_dev.tar.gz", tmp_path, wanted=wanted)
    (tmp_path / "new_joint_vecs").mkdir()
    longest = moving(KITML, 1000, 0)
    for name, frames in zip(listed["id"], listed["nframes"], strict=True):
        np.save(tmp_path / "new_joint_vecs" / f"{name}.npy", longest[:frames])
    splits = {split: list(listed.loc[listed["split"] == split, "id"]) for split in ("train", "val", "test")}
    write_splits(tmp_path, splits)
    report = step.ingest(tmp_path, tmp_path / "clips", dataset="kitml", min_frames=24)
    kept = listed[(listed["nframes"] >= 24) & (listed["nframes"] < 200)]
    lines = {name: read_lines(tmp_path / "texts" / f"{name}.txt") for name in kept["id"]}
    # A few motions of the dataset have an empty text file.
    spoken = [name for name in kept["id"] if any(line.strip() for line in lines[name])]
    assert report.packed.clips == len(spoken)
    assert {entry.reason for entry in report.skipped} <= {"too short", "too long"}
    captions = packed.load(tmp_path / "clips").captions
    assert len(captions) == sum(bool(line.strip()) for name in spoken for line in lines[name])
    assert captions["tokens"].str.contains("/").all()


def test_motion_x_ids_and_captions(tmp_path):
    raw = write_motionx(tmp_path / "raw")
    report = step.ingest(raw, tmp_path / "clips", dataset="motionx", min_frames=24)
    assert report.skipped == ()
    clips = packed.load(tmp_path / "clips")
    assert clips.layout is HUMANML3D
    assert clips.fps == 30
    assert "kungfu/subset_0000/Aerial_Kick_Kungfu Wushu_clip_8" in clips.ids("train")
    twins = clips.table.dropna(subset=["mirror_of"])
    assert list(zip(twins["clip_id"], twins["mirror_of"], strict=True)) == [
        ("humanml/M000021", "humanml/000021")
    ]
    table = pd.read_parquet(tmp_path / "clips/captions.parquet").set_index("clip_id")["tokens"]
    assert table["HAA500/subset_0004/Punching Bag_clip_4"] == ""
    said = clips.captions.set_index("clip_id")["tokens"]
    assert said["HAA500/subset_0004/Punching Bag_clip_4"] == "a/OTHER man/OTHER punch/OTHER a/OTHER bag/OTHER"
    assert list(said["humanml/000021"]) == list(table["humanml/000021"])
    slower = step.ingest(raw, tmp_path / "clips", dataset="motionx", min_frames=24, fps=20)
    assert slower.packed == report.packed
    assert packed.load(tmp_path / "clips").fps == 20


@pytest.mark.parametrize(
    ("motions", "texts"),
    [
        ("vector_263", "texts/semantic_texts"),
        ("new_joint_vecs", "texts"),
        ("motion_data/vector_263", "semantic_labels"),
    ],
)
def test_motion_x_under_other_folder_names(tmp_path, motions, texts):
    write(tmp_path / motions, tmp_path / texts, HUMANML3D, {"a b/c_1": ["walks on", "turns#turn/VERB#0#0"]})
    write_splits(tmp_path, {"train": ["a b/c_1"], "val": [], "test": []})
    (clip,) = RawFolder(find(tmp_path)).clips()
    assert clip.captions == (Caption("walks on", ""), Caption("turns", "turn/VERB"))


def test_features_of_another_width_are_refused_with_a_hint(tmp_path):
    write(tmp_path / "vector_263", tmp_path / "texts", HUMANML3D, {"x": ["walks"]})
    for width, hint in ((322, "parameters of SMPL-X"), (623, "transfer_to_body_only_humanml")):
        np.save(tmp_path / "vector_263/x.npy", np.zeros((60, width), np.float32))
        write_splits(tmp_path, {"train": ["x"], "val": [], "test": []})
        with pytest.raises(DataError, match=rf"shape \(60, {width}\).*{hint}"):
            list(RawFolder(find(tmp_path)).clips())


def test_motion_x_with_something_missing_or_twice(tmp_path):
    with pytest.raises(DataError, match="is not a directory"):
        find(tmp_path / "nothing")
    with pytest.raises(
        DataError, match="holds no motions; expected one of the folders motion_data/smplx_322"
    ):
        find(tmp_path)
    (tmp_path / "new_joint_vecs").mkdir()
    with pytest.raises(DataError, match="holds no texts; expected one of the folders texts/semantic_labels"):
        find(tmp_path)
    (tmp_path / "vector_263").mkdir()
    with pytest.raises(DataError, match=r"holds motions twice: .*vector_263 and .*new_joint_vecs; keep one"):
        find(tmp_path)


def test_a_text_line_with_too_few_fields_is_refused_even_where_captions_may_be_bare(tmp_path):
    raw = write_motionx(tmp_path / "raw")
    text = raw / "texts/semantic_labels/humanml/000021.txt"
    text.write_text("a person walks#a/DET\n")
    with pytest.raises(DataError, match=r"humanml/000021\.txt line 1 has 2 fields"):
        step.ingest(raw, tmp_path / "clips", dataset="motionx", min_frames=24)
    assert not (tmp_path / "clips").exists()


def test_a_link_in_a_sub_folder_that_leads_out(tmp_path):
    raw = write_motionx(tmp_path / "raw")
    shutil.move(raw / "motion_data/vector_263/humanml", tmp_path / "outside")
    (raw / "motion_data/vector_263/humanml").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="link that leads out"):
        step.ingest(raw, tmp_path / "clips", dataset="motionx", min_frames=24, on_bad="skip")
    assert not (tmp_path / "clips").exists()
