"""Converting a folder of BVH files with captions to a raw folder in HumanML3D's layout, and to packed clips."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bvh import wave, write_bvh

from hmu_tasks.data.clips.words import tokens_of
from hmu_tasks.data.datasets.bvh.captions import read_table
from hmu_tasks.data.datasets.bvh.motion import convert
from hmu_tasks.data.datasets.bvh.reader import read
from hmu_tasks.data.datasets.bvh.writer import cut, mirrored, write_raw_folder
from hmu_tasks.data.datasets.smpl.joints import BODY
from hmu_tasks.data.motion.features import from_joints, mirror_joints, to_joints
from hmu_tasks.ingest import ingest
from hmu_tasks.runtime.errors import ConfigError, DataError

CAPTIONS = """file,caption,split
wave.bvh,a person waves the right hand,train
wave.bvh,"someone is waving, to the Left",train
deep/er/long one.bvh,a person stands clockwise,test
val.bvh,somebody stands,val
"""


@pytest.fixture
def folder(tmp_path):
    """BVH files of 2, 14 and 3 seconds with captions."""
    folder = tmp_path / "mo cap"
    write_bvh(folder / "wave.bvh", 91, turns=wave(91))
    write_bvh(folder / "deep" / "er" / "long one.bvh", 421, turns=wave(421))
    write_bvh(folder / "val.bvh", 91)
    write_bvh(folder / "nobody asked.bvh", 91)
    (folder / "captions.csv").write_text(CAPTIONS, encoding="utf-8")
    return folder


@pytest.fixture
def target(tmp_path):
    target = tmp_path / "raw"
    target.mkdir()
    return target


def test_clips_twins_captions_and_splits_are_written(folder, target, tmp_path):
    write_raw_folder(target, folder=folder, seed=1)
    assert (target / "train.txt").read_text().split("\n") == ["wave", "Mwave", ""]
    assert (target / "val.txt").read_text().split("\n") == ["val", "Mval", ""]
    parts = ["deep/er/long one.1", "Mdeep/er/long one.1", "deep/er/long one.2", "Mdeep/er/long one.2"]
    assert (target / "test.txt").read_text().splitlines() == parts
    # 14 seconds are 281 frames, hence 280 rows of features: two parts of 140.
    assert [np.load(target / "new_joint_vecs" / f"{name}.npy").shape for name in parts] == [(140, 263)] * 4

    joints = convert(read(folder / "wave.bvh")).joints
    features = np.load(target / "new_joint_vecs" / "wave.npy")
    np.testing.assert_array_equal(features, from_joints(joints, offsets=BODY))
    twin = np.load(target / "new_joint_vecs" / "Mwave.npy")
    np.testing.assert_array_equal(twin, from_joints(mirror_joints(joints), offsets=BODY))
    assert (
        to_joints(features)[:, 21, 1].max() > to_joints(features)[:, 15, 1].max() - 0.3
    )  # right wrist is up
    assert to_joints(twin)[:, 20, 1].max() > to_joints(twin)[:, 15, 1].max() - 0.3  # left wrist of the twin

    assert (target / "texts" / "wave.txt").read_text().splitlines()[0] == (
        "a person waves the right hand#a/OTHER person/OTHER wave/OTHER the/OTHER right/OTHER hand/OTHER#0.0#0.0"
    )
    mirror = (target / "texts" / "Mwave.txt").read_text()
    assert mirror.startswith("a person waves the left hand#")
    assert "someone is waving, to the Right#" in mirror
    assert (
        (target / "texts" / "Mdeep" / "er" / "long one.2.txt")
        .read_text()
        .startswith("a person stands counter")
    )

    report = json.loads((target / "bvh.json").read_text())
    assert report["files"]["wave.bvh"]["skeleton"] == "smpl"
    assert report["files"]["wave.bvh"]["clips"] == {"wave": 60, "Mwave": 60}
    left_out = {
        "id": "nobody asked.bvh",
        "reason": "no caption",
        "detail": "not in the table",
        "damaged": False,
    }
    assert report["skipped"] == [left_out]

    found = ingest(target, tmp_path / "clips", dataset="bvh")
    assert found.packed.clips == 8
    assert found.packed.splits == {"train": 2, "val": 2, "test": 4}


def test_the_same_files_give_the_same_bytes(folder, tmp_path):
    trees = []
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        write_raw_folder(tmp_path / name, folder=folder, seed=seed)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        trees.append([(path.relative_to(tmp_path / name), path.read_bytes()) for path in files])
    assert trees[0] == trees[1]


def test_twins_can_be_disabled(folder, target):
    write_raw_folder(target, folder=folder, seed=1, mirror=False, longest=70)
    assert (target / "train.txt").read_text() == "wave\n"
    assert len((target / "test.txt").read_text().splitlines()) == 4


def test_a_bad_file_is_an_error_or_reported(folder, target):
    (folder / "wave.bvh").write_text("HIERARCHY\n")
    (folder / "val.bvh").unlink()
    with pytest.raises(
        DataError,
        match=r"2 files cannot be used.*on_bad: skip\n  wave\.bvh has no line MOTION.*\n  val\.bvh is missing",
    ):
        write_raw_folder(target, folder=folder, seed=1)
    again = target.parent / "again"
    again.mkdir()
    write_raw_folder(again, folder=folder, seed=1, on_bad="skip")
    report = json.loads((again / "bvh.json").read_text())
    assert report["reasons"] == {"bad motion": 1, "no motion": 1, "no caption": 1}
    assert [entry["id"] for entry in report["skipped"]] == ["wave.bvh", "val.bvh", "nobody asked.bvh"]
    assert (again / "train.txt").read_text() == ""
    assert sorted(path.name for path in (again / "texts").iterdir()) == ["Mdeep", "deep"]


def test_a_motion_of_one_frame_is_bad(folder, target):
    write_bvh(folder / "wave.bvh", 3, seconds=0.008)
    with pytest.raises(DataError, match=r"wave\.bvh lasts less than two frames"):
        write_raw_folder(target, folder=folder, seed=1)


def test_wrong_paths_and_names_are_explained(folder, target):
    with pytest.raises(DataError, match=r"set ingest\.bvh\.folder"):
        write_raw_folder(target, folder=folder / "absent", seed=1)
    with pytest.raises(
        DataError, match=r"other\.csv is missing; it must hold the columns file, caption, split"
    ):
        write_raw_folder(target, folder=folder, seed=1, captions="other.csv")
    with pytest.raises(ConfigError, match="choose auto"):
        write_raw_folder(target, folder=folder, seed=1, skeleton="poser", on_bad="skip")


@pytest.mark.parametrize("on_bad", ["error", "skip"])
def test_a_link_out_of_the_folder_is_refused(folder, target, on_bad):
    outside = write_bvh(folder.parent / "outside.bvh", 91)
    (folder / "wave.bvh").unlink()
    (folder / "wave.bvh").symlink_to(outside)
    with pytest.raises(DataError, match=r"wave\.bvh is a link that leads out"):
        write_raw_folder(target, folder=folder, seed=1, on_bad=on_bad)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("file,caption\na.bvh,b\n", "is missing the column split"),
        ("", "is missing the column file, caption, split"),
        ("file,caption,split\n", "names no file"),
        ("file,caption,split\n../a.bvh,b,train\n", r"line 2: file '../a.bvh' leads out of the folder"),
        ("file,caption,split\nx/..\\..\\a.bvh,b,train\n", "leads out of the folder"),
        ("file,caption,split\n/etc/a.bvh,b,train\n", "leads out of the folder"),
        ("file,caption,split\nC:\\a.bvh,b,train\n", "leads out of the folder"),
        ("file,caption,split\na.txt,b,train\n", "does not end in .bvh"),
        ("file,caption,split\na.bvh,b,dev\n", r"split 'dev'; choose one of train, val, test"),
        ("file,caption,split\na.bvh,b\n", "split ''; choose"),
        ("file,caption,split\na.bvh,b,train\na.bvh,c,test\n", r"line 3: a\.bvh is in train and in test"),
        ("file,caption,split\na.bvh, 12 ,train\n", "caption '12' has no word"),
        ("file,caption,split\na.bvh,a#b,train\n", "must not contain '#'"),
        ("file,caption,split\na.bvh,b,train\na.BVH,b,train\n", "would have the same id"),
        (
            "file,caption,split\na.bvh,b,train\nMa.bvh,b,train\n",
            "Ma would be taken for the mirrored twin of a",
        ),
        ('file,caption,split\na.bvh,"b,train\n', "save it again as CSV"),
    ],
)
def test_a_faulty_table_is_explained(tmp_path, rows, message):
    table = tmp_path / "captions.csv"
    table.write_text(rows, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_table(table)


def test_a_table_from_a_spreadsheet_is_read(tmp_path):
    table = tmp_path / "captions.csv"
    table.write_bytes(
        '\ufefffile,caption,split,note\r\nsub\\a.bvh,"one, two\nthree",train,x\r\n\r\nb.BVH,b,val,\r\n'.encode()
    )
    first, second = read_table(table)
    assert (first.raw_id, first.captions, first.split) == ("sub/a", ("one, two three",), "train")
    assert second.raw_id == "b"
    table.write_bytes(b"file,caption,split\na.bvh,caf\xe9,train\n")
    with pytest.raises(DataError, match=r"captions\.csv is not UTF-8"):
        read_table(table)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_table_is_read_or_refused(tmp_path_factory, raw):
    table = tmp_path_factory.mktemp("table") / "captions.csv"
    table.write_bytes(b"file,caption,split\n" + raw)
    with pytest.raises(DataError):
        raise DataError(str(read_table(table)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(2, 900), st.integers(1, 200))
def test_parts_cover_a_motion_evenly(frames, longest):
    parts = cut(np.arange(frames)[:, None, None] * np.ones((1, 22, 3)), longest)
    rows = [len(part) - 1 for part in parts]
    assert sum(rows) == frames - 1
    assert max(rows) <= longest
    assert max(rows) - min(rows) <= 1
    assert all(before[-1, 0, 0] == after[0, 0, 0] for before, after in pairwise(parts))


def test_sides_are_swapped_in_captions():
    assert (
        mirrored("Left, the right hand; clockwise leftover")
        == "Right, the left hand; counterclockwise leftover"
    )
    assert mirrored(mirrored("turns counterclockwise to the right")) == "turns counterclockwise to the right"


def test_tokens_are_lemmas():
    assert tokens_of("Waves, waving hands!") == "wave/OTHER wave/OTHER hand/OTHER"
