"""What is wrong with a raw folder stops ingest with its name, or is skipped and counted."""

import zipfile

import numpy as np
import pytest
from raw_folder import WALK, add, motion, read, refused

from hmu_tasks.data.datasets.humanml3d import find
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.runtime.errors import ConfigError, DataError


def _truncated(path):
    path.write_bytes(path.read_bytes()[:5000])


def _header_only(path):
    path.write_bytes(path.read_bytes()[:40])


def _archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "x")


def _boast(path):
    """A header that claims far more data than the file holds."""
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**14, 263)}
        np.lib.format.write_array_header_1_0(file, header)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (_truncated, "truncated or not a .npy"),
        (_header_only, "truncated or not a .npy"),
        (_boast, "truncated or not a .npy"),
        (lambda path: path.write_bytes(b""), "truncated or not a .npy"),
        (lambda path: path.write_text("hello"), "truncated or not a .npy"),
        (_archive, "npz archive"),
        (lambda path: np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True), "cannot be read"),
        (lambda path: np.save(path, np.array(["a"])), "expected numbers"),
        (lambda path: np.save(path, motion()[:, :251]), r"shape \(60, 251\); expected \[frames, 263\]"),
        (lambda path: np.save(path, motion()[0]), "expected \\[frames, 263\\]"),
        (
            lambda path: np.save(path, np.where(np.arange(263) == 5, np.nan, motion())),
            "NaN or infinite.*frame 0",
        ),
        (lambda path: np.save(path, motion(dtype=np.float64) * 1e300), "NaN or infinite"),
    ],
)
def test_damaged_motions(raw, damage, match):
    add(raw, "good")
    add(raw, "damaged")
    damage(raw / "new_joint_vecs" / "damaged.npy")
    clips = refused(raw, "damaged", "bad motion", match)
    assert [c.clip_id for c in clips] == ["good"]


def test_a_file_written_by_python_2(raw):
    add(raw, "old")
    file = raw / "new_joint_vecs/old.npy"
    file.write_bytes(file.read_bytes().replace(b"(60, 263), ", b"(60L, 263),"))
    assert len(read(raw)[0]) == 1


def test_missing_files(raw):
    add(raw, "good")
    add(raw, "silent", text=None)
    refused(raw, "silent", "no text", r"texts/silent\.txt is missing")
    (raw / "train.txt").write_text("good\n")
    add(raw, "still", features=False, split="val")
    assert [c.clip_id for c in refused(raw, "still", "no motion", "missing")] == ["good"]


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (b"only a caption", "line 2 has 1 fields"),
        (b"a#b/X#0.0#0.0#extra", "line 2 has 5 fields"),
        (b"a#b/X#zero#0.0", "'zero', which is not a number"),
        (b"#b/X#0.0#0.0", "empty caption"),
        (b"a#b/X#3.0#2.0", "ends at 2 s, before it starts at 3 s"),
        (b"a#b/X#-1#2.0", "start -1 s"),
        (b"a#b/X#0.0#inf", "end inf s"),
        (b"a#b/X#0#1e308", "end 1e"),
    ],
)
def test_bad_text_lines(raw, line, match):
    add(raw, "x", text=WALK.encode() + line + b"\n")
    (clip,) = refused(raw, "x", "bad text line", match)
    assert len(clip.captions) == 1


def test_text_in_another_encoding_and_without_captions(raw):
    add(raw, "latin", text=WALK.encode() + "café#x/X#0.0#0.0\n".encode("latin-1"))
    assert refused(raw, "latin", "bad text", r"not UTF-8 \(line 2, byte \d+\); save it again") == []
    (raw / "texts/latin.txt").write_bytes(b"\r\n \n")
    assert refused(raw, "latin", "no caption", "no usable line") == []


def test_an_id_twice(raw):
    add(raw, "x")
    add(raw, "x", split="test")
    (clip,) = refused(raw, "x", "listed twice", "keep it in one split")
    assert clip.split == "train"


def test_a_raw_id_that_looks_like_a_sub_clip(raw):
    add(raw, "x", text="a#a/X#1.0#4.0\n", features=motion(90))
    add(raw, "x@20-80")
    assert len(refused(raw, "x@20-80", "listed twice", "two clips would be called")) == 1


@pytest.mark.parametrize(
    "raw_id", ["../x", "a/../../x", "/etc/x", "..", "C:\\x", "..\\x", "\\\\host\\x", "a\x00b"]
)
@pytest.mark.parametrize("on_bad", ["error", "skip"])
def test_ids_that_lead_out_of_the_folder(raw, raw_id, on_bad):
    (raw / "val.txt").write_text(f"{raw_id}\n")
    with pytest.raises(DataError, match=r"val\.txt: id .* leads out of the folder"):
        RawFolder(find(raw), on_bad=on_bad)


@pytest.mark.parametrize("part", ["new_joint_vecs/x.npy", "texts/x.txt"])
def test_links_that_lead_out_of_the_folder(raw, tmp_path, part):
    add(raw, "x")
    outside = tmp_path / "outside"
    (raw / part).rename(outside)
    (raw / part).symlink_to(outside)
    with pytest.raises(DataError, match="link that leads out"):
        read(raw, on_bad="skip")
    (raw / part).unlink()
    (raw / part).symlink_to(raw / part)
    with pytest.raises(DataError, match="link that leads out"):
        read(raw, on_bad="skip")


def test_all_faults_are_reported_at_once_and_counted(raw):
    for number in range(8):
        add(raw, f"act{number}", features=False)
    add(raw, "pose", features=motion(1))
    add(raw, "silent", text=None, split="test")
    add(raw, "short", features=motion(20))
    add(raw, "good")
    with pytest.raises(DataError) as caught:
        read(raw)
    message = str(caught.value)
    assert "10 faults in 12 listed ids; nothing was ingested" in message
    assert "  no motion: 8\n    act0: new_joint_vecs/act0.npy is missing" in message
    assert "act4: " in message
    assert "act5" not in message
    assert "  one frame: 1\n    pose: new_joint_vecs/pose.npy holds a pose, not a motion" in message
    assert "  no text: 1\n    silent: texts/silent.txt is missing" in message
    assert "short" not in message
    clips, skipped, _ = read(raw, on_bad="skip")
    assert [clip.clip_id for clip in clips] == ["good"]
    assert len(skipped) == 11


def test_features_of_another_dataset_are_recognised(raw):
    add(raw, "x", features=motion()[:, :251])
    refused(raw, "x", "bad motion", r"KIT-ML's features; set run\.dataset: kitml")


@pytest.mark.parametrize("part", ["new_joint_vecs", "texts"])
def test_a_folder_that_lacks_a_part(raw, part):
    (raw / part).rmdir()
    with pytest.raises(DataError, match=f"{part} is missing; HumanML3D needs new_joint_vecs, texts"):
        find(raw)


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"names": ["a"]}', '{"names": ["a"], "violent": [1]}', '{"names": [1], "violent": [true]}'],
)
def test_bad_actions(raw, text):
    (raw / "actions.json").write_text(text)
    with pytest.raises(DataError, match=r"actions\.json must be"):
        RawFolder(find(raw))


def test_missing_folders_split_files_and_invalid_arguments(raw):
    with pytest.raises(DataError, match=r"is not a directory; set ingest\.source"):
        find(raw / "nothing")
    for knobs in ({"min_frames": 1}, {"min_frames": 50, "max_frames": 50}, {"on_bad": "ignore"}):
        with pytest.raises(ConfigError):
            RawFolder(find(raw), **knobs)
    (raw / "test.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"test\.txt is not UTF-8"):
        RawFolder(find(raw))
    (raw / "test.txt").unlink()
    with pytest.raises(DataError, match=r"test\.txt is missing; it must list the ids"):
        RawFolder(find(raw))
