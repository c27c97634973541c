import json
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmu_tasks.data.clips.arrays import as_features, read_array
from hmu_tasks.data.clips.clips import Caption
from hmu_tasks.data.datasets.caption_files import parse_line, read_lines
from hmu_tasks.data.datasets.humanml3d import find
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.runtime.errors import ConfigError, DataError

WALK = "a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\n"


def motion(frames=60, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(0, 1, (frames, 263)).astype(dtype)


@pytest.fixture
def raw(tmp_path):
    """A raw folder to which `add` adds clips."""
    folder = tmp_path / "raw folder"
    for part in ("new_joint_vecs", "texts"):
        (folder / part).mkdir(parents=True)
    for split in ("train", "val", "test"):
        (folder / f"{split}.txt").touch()
    return folder


def add(folder, raw_id, *, features=None, text=WALK, split="train"):
    if features is None:
        features = motion()
    if features is not False:
        np.save(folder / "new_joint_vecs" / f"{raw_id}.npy", features)
    if text is not None:
        (folder / "texts" / f"{raw_id}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with (folder / f"{split}.txt").open("a") as file:
        file.write(f"{raw_id}\n")


def read(folder, **knobs):
    reader = RawFolder(find(folder), **knobs)
    return list(reader.clips()), [(entry.id, entry.reason) for entry in reader.skipped], reader


def refused(folder, raw_id, reason, match):
    """The fault is an error by default, and is recorded with on_bad="skip"."""
    with pytest.raises(DataError, match=match) as caught:
        read(folder)
    assert raw_id in str(caught.value)
    assert "on_bad: skip" in str(caught.value)
    clips, skipped, reader = read(folder, on_bad="skip")
    assert (raw_id, reason) in skipped
    assert all(str(folder) not in entry.detail for entry in reader.skipped)
    return clips


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


def test_any_damaged_header_is_refused_or_read(raw):
    add(raw, "x", features=motion(3))
    file = raw / "new_joint_vecs/x.npy"
    content, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(content)
        for place in rng.integers(0, 128, rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        file.write_bytes(damaged)
        clips, skipped, _ = read(raw, on_bad="skip")
        assert clips == []  # too short where it can be read
        assert len(skipped) == 1


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


def test_text_with_byte_order_mark_crlf_and_odd_separators(tmp_path):
    file = tmp_path / "x.txt"
    file.write_bytes(b"\xef\xbb\xbf" + "a\x0cb\u2028c#x/X#0#0\r\nsecond#y/X#0#0\rthird#z/X#0#0".encode())
    captions = [parse_line(line) for line in read_lines(file)]
    assert [c.text for c in captions] == ["a\x0cb\u2028c", "second", "third"]


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


def test_progress_counts_the_ids(raw):
    for raw_id in "abc":
        add(raw, raw_id)
    calls = []
    list(RawFolder(find(raw)).clips(lambda done, total: calls.append((done, total))))
    assert calls == [(1, 3), (2, 3), (3, 3)]


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_any_line_is_read_or_refused(line):
    try:
        caption = parse_line(line)
    except DataError:
        return
    assert caption.text
    assert 0 <= caption.start_s < caption.end_s or caption.end_s == 0


@settings(deadline=None, derandomize=True)
@given(
    st.text(st.characters(codec="utf-8", exclude_characters="#\r\n"), min_size=1).filter(lambda s: s.strip()),
    st.text(st.characters(codec="utf-8", exclude_characters="#\r\n")),
    st.floats(-1, 1e5),
    st.one_of(st.floats(), st.just(0.0)),
)
def test_any_well_formed_line_keeps_its_parts(text, tokens, start, end):
    line = f"{text}#{tokens}#{start!r}#{end!r}"
    try:
        caption = parse_line(line)
    except DataError:
        assert not (0 <= start < end <= 86_400)
        return
    assert caption.text == text.strip()
    assert caption.tokens.split() == tokens.split()
    assert caption.start_s == start
    assert caption.end_s == (0 if np.isnan(end) else end)


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "fuzz.txt"
    file.write_bytes(content)
    try:
        lines = read_lines(file)
    except DataError:
        return
    assert not any("\n" in line or "\r" in line for line in lines)


def test_real_caption_files(shared, tmp_path):
    with tarfile.open(shared / "data/captions/kitml_texts_dev.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    lines = [line for file in (tmp_path / "texts").iterdir() for line in read_lines(file) if line]
    captions = [parse_line(line) for line in lines]
    assert len(captions) == 11_140
    assert all("/" in token for caption in captions for token in caption.tokens.split())


ODD = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(ODD, max_size=6), st.binary(max_size=12))
def test_any_list_of_ids_is_read_or_refused_and_stays_inside(tmp_path_factory, ids, garbage):
    """Any split file gives a DataError, or ids whose files would be inside the folder (and are missing there)."""
    folder = tmp_path_factory.mktemp("fuzz", numbered=True)
    for part in ("new_joint_vecs", "texts"):
        (folder / part).mkdir()
    for split in ("val", "test"):
        (folder / f"{split}.txt").touch()
    (folder / "train.txt").write_bytes("\n".join(ids).encode() + b"\n" + garbage)
    try:
        clips, skipped, reader = read(folder, on_bad="skip")
    except DataError:
        return
    assert clips == []
    assert len(skipped) == len(reader)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.binary(max_size=400), st.integers(0, 130))
def test_any_bytes_are_a_motion_or_refused(tmp_path_factory, content, kept):
    """Garbage after the start of a valid header, to get past the first checks."""
    file = tmp_path_factory.getbasetemp() / "fuzz.npy"
    np.save(file, motion(3))
    file.write_bytes(file.read_bytes()[:kept] + content)
    try:
        features = as_features(read_array(file), 263)
    except DataError:
        return
    assert features.shape[1] == 263
    assert np.isfinite(features).all()


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text())
def test_any_line_of_bare_captions_is_read_or_refused(line):
    try:
        caption = parse_line(line, bare=True)
    except DataError:
        return
    assert caption.text
    assert "#" not in caption.text
    if "#" not in line:
        assert caption == Caption(line.strip(), "")
