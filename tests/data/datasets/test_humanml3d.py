"""What comes of a sound folder in HumanML3D's layout: clips, splits, sub-clips, labels, statistics."""

import json

import numpy as np
import pytest
from raw_folder import WALK, add, motion, read, refused

from hmu_tasks.data.clips.clips import Caption
from hmu_tasks.data.datasets.caption_files import parse_line, read_lines
from hmu_tasks.data.datasets.humanml3d import find
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.runtime.errors import DataError


def test_a_plain_clip(raw):
    add(raw, "000001", features=motion(60, dtype=np.float64))
    (clip,), skipped, _ = read(raw)
    assert (clip.clip_id, clip.source, clip.split, clip.mirror_of, clip.fps) == (
        "000001",
        "000001",
        "train",
        None,
        20,
    )
    assert clip.features.dtype == np.float32
    np.testing.assert_array_equal(clip.features, motion(60))
    assert clip.captions == (Caption("a person walks", "a/DET person/NOUN walk/VERB", 0.0, 0.0),)
    assert skipped == []


def test_splits_come_in_order_and_twins_are_linked(raw):
    for raw_id, split in (("7", "test"), ("M7", "test"), ("3", "train"), ("M9", "val")):
        add(raw, raw_id, split=split, text="turns#turn/VERB#0.5#2.5\n" if raw_id.endswith("7") else WALK)
    clips, _, _ = read(raw)
    assert [(c.clip_id, c.split, c.mirror_of) for c in clips] == [
        ("3", "train", None),
        ("M9", "val", None),  # its original is not listed
        ("7@10-50", "test", None),
        ("M7@10-50", "test", "7@10-50"),
    ]


def test_times_make_sub_clips(raw):
    lines = [
        "walks#walk/VERB#0.0#0.0",
        "turns left#turn/VERB left/ADJ#1.0#6.5",
        "goes left#go/VERB left/ADJ#1.0#6.5",
        "tiny#tiny/ADJ#1.0#2.0",
        "nan tag#nan/X#nan#nan",
        "to the end#to/ADP#3.0#0.0",
        "past the end#past/ADP#5.0#99.0",
        "after the end#after/ADP#50.0#60.0",
    ]
    add(raw, "a b", features=motion(199), text="\r\n".join(lines) + "\r\n")
    clips, skipped, _ = read(raw)
    found = {c.clip_id: (len(c.features), [x.text for x in c.captions]) for c in clips}
    assert found == {
        "a b": (199, ["walks", "nan tag"]),
        "a b@20-130": (110, ["turns left", "goes left"]),
        "a b@60-199": (139, ["to the end"]),
        "a b@100-199": (99, ["past the end"]),
    }
    np.testing.assert_array_equal(clips[1].features, motion(199)[20:130])
    assert (clips[1].captions[0].start_s, clips[1].captions[0].end_s) == (1.0, 6.5)
    assert skipped == [("a b@20-40", "too short"), ("a b@1000-199", "too short")]


def official(name, fork):
    """Raw id and, in the fork, caption line from the name of an official sample."""
    if fork == "hmu":
        line, _, raw_id = name.partition("%")
        return raw_id, int(line)
    return name[2:] if name[1:2] == "_" else name, None


@pytest.mark.parity
@pytest.mark.parametrize("fork", ["momask", "hmu"])
def test_selection_equals_the_official_datasets(shared, raw, fork):
    golden = json.loads((shared / f"golden/a2_dataset_{fork}.json").read_text())
    for raw_id in golden["split"]:
        if raw_id in golden["texts"]:
            features = motion(golden["clip_lengths"][raw_id])
            add(raw, raw_id, features=features, text="\n".join(golden["texts"][raw_id]))
        else:
            add(raw, raw_id, features=False, text=None)
    clips, skipped, _ = read(raw, on_bad="skip")
    # Raw id, length and line of each caption; a segment of its own is a sample of its own in both.
    ours = sorted(
        (clip.source, len(clip.features), golden["texts"][clip.source].index(line))
        for clip in clips
        for caption in clip.captions
        for line in golden["texts"][clip.source]
        if line.startswith(f"{caption.text}#")
    )
    names = [official(name, fork) for name in golden["eval"]["names"]]
    theirs = sorted(zip(names, golden["eval"]["lengths"], strict=True))
    if fork == "momask":
        # MoMask's loader takes one random caption per motion, and drops the only segment with a start but no end
        # (frame 60 to the end).
        assert ours.pop(ours.index(("seg001", 90, 1)))
        assert sorted({row[:2] for row in ours}) == [(name, length) for (name, _), length in theirs]
    else:
        assert ours == sorted((name, length, line) for (name, line), length in theirs)
    said = {caption.text: caption.tokens for clip in clips for caption in clip.captions}
    units = {
        (clip.source, caption.text): len(clip.features) // 4 for clip in clips for caption in clip.captions
    }
    for item in golden["eval"]["items"]:
        tokens = item["tokens"].split("_eos/OTHER")[0].removeprefix("sos/OTHER_")
        assert said[item["caption"]] == tokens.replace("_", " ")
        # The official loader crops to a multiple of four frames, or at random to four frames less.
        raw_id, _ = official(item["name"], fork)
        assert item["m_length"] // 4 in (units[raw_id, item["caption"]], units[raw_id, item["caption"]] - 1)
    assert ("missing", "no motion") in skipped
    assert ("short1", "too short") in skipped
    assert ("long1", "too long") in skipped


def test_length_limits_select_and_are_never_errors(raw):
    for raw_id, frames in (("a", 1), ("b", 39), ("c", 40), ("d", 199), ("e", 200), ("f", 0)):
        add(raw, raw_id, features=motion(frames) if frames else np.zeros((1, 263))[:0])
    clips, skipped, _ = read(raw, on_bad="skip")
    assert [c.clip_id for c in clips] == ["c", "d"]
    assert dict(skipped)["a"] == "one frame"
    assert dict(skipped)["b"] == "too short"
    assert dict(skipped)["e"] == "too long"
    assert "f" in dict(skipped)
    (raw / "train.txt").write_text("b\nc\nd\ne\n")
    assert [c.clip_id for c in read(raw)[0]] == ["c", "d"]
    assert [c.clip_id for c in read(raw, min_frames=24, max_frames=40)[0]] == ["b"]


def test_text_with_byte_order_mark_crlf_and_odd_separators(tmp_path):
    file = tmp_path / "x.txt"
    file.write_bytes(b"\xef\xbb\xbf" + "a\x0cb\u2028c#x/X#0#0\r\nsecond#y/X#0#0\rthird#z/X#0#0".encode())
    captions = [parse_line(line) for line in read_lines(file)]
    assert [c.text for c in captions] == ["a\x0cb\u2028c", "second", "third"]


def test_a_linked_folder_and_ids_in_sub_folders_are_accepted(raw, tmp_path):
    (raw / "new_joint_vecs").rename(tmp_path / "elsewhere")
    (raw / "new_joint_vecs").symlink_to(tmp_path / "elsewhere")
    for part in ("new_joint_vecs", "texts"):
        (raw / part / "set 1").mkdir()
    add(raw, "set 1/Butt_Kicks 2")
    assert [c.clip_id for c in read(raw)[0]] == ["set 1/Butt_Kicks 2"]


def test_labels_follow_their_clips(raw):
    (raw / "labels").mkdir()
    (raw / "actions.json").write_text('{"names": ["walk", "kick"], "violent": [false, true]}')
    add(raw, "x", text=WALK + "a#a/X#1.0#3.0\n")
    labels = np.arange(60) // 30
    np.save(raw / "labels/x.npy", labels.astype(np.int64))
    whole, part = read(raw)[0]
    assert whole.labels.dtype == np.int16
    np.testing.assert_array_equal(whole.labels, labels)
    np.testing.assert_array_equal(part.labels, labels[20:60])
    for wrong, match in (
        (labels[:50], "expected 60 integers"),
        (labels + 1, "1 to 2; expected 0 to 1"),
        (labels / 2, "float64.*integers"),
    ):
        np.save(raw / "labels/x.npy", wrong)
        refused(raw, "x", "bad labels", match)
    (raw / "labels/x.npy").unlink()
    refused(raw, "x", "bad labels", "is missing")


def test_other_dtypes_are_converted_and_reported(raw):
    add(raw, "single")
    for raw_id, dtype in (("double", np.float64), ("half", np.float16), ("int", np.int32)):
        add(raw, raw_id, features=motion(dtype=dtype))
    clips, skipped, reader = read(raw)
    assert {clip.features.dtype for clip in clips} == {np.dtype(np.float32)}
    assert skipped == []
    assert reader.converted == {"float64": ["double"], "float16": ["half"], "int32": ["int"]}


def test_statistics_of_the_folder(raw):
    assert RawFolder(find(raw)).statistics() is None
    mean, std = np.zeros(263), np.ones(263)
    np.save(raw / "Mean.npy", mean)
    with pytest.raises(DataError, match=r"Std\.npy cannot be used"):
        RawFolder(find(raw)).statistics()
    np.save(raw / "Std.npy", std)
    found = RawFolder(find(raw)).statistics()
    assert found.std.dtype == np.float32
    for wrong, match in (
        (std[:9], "263 finite"),
        (std * np.nan, "263 finite"),
        (std * 0, "positive everywhere"),
    ):
        np.save(raw / "Std.npy", wrong)
        with pytest.raises(DataError, match=match):
            RawFolder(find(raw)).statistics()


def test_progress_counts_the_ids(raw):
    for raw_id in "abc":
        add(raw, raw_id)
    calls = []
    list(RawFolder(find(raw)).clips(lambda done, total: calls.append((done, total))))
    assert calls == [(1, 3), (2, 3), (3, 3)]
