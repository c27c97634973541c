"""Whatever bytes and lines a raw folder holds, they are read or refused."""

import unicodedata

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_folder import add, motion, read

from hmu_tasks.data.clips.arrays import as_features, read_array
from hmu_tasks.data.clips.clips import Caption
from hmu_tasks.data.clips.words import word_tokens, words_of
from hmu_tasks.data.datasets.caption_files import parse_line, read_lines
from hmu_tasks.runtime.errors import DataError


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


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_any_line_is_read_or_refused(line):
    try:
        caption = parse_line(line)
    except DataError:
        return
    assert words_of(caption.text)
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
        assert not (0 <= start < end <= 86_400) or not words_of(text)
        return
    assert caption.text == unicodedata.normalize("NFC", text.strip())
    assert caption.tokens == word_tokens(unicodedata.normalize("NFC", tokens))
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


def test_real_caption_files(kit_texts):
    lines = [line for file in kit_texts.iterdir() for line in read_lines(file) if line]
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
        assert caption == Caption(unicodedata.normalize("NFC", line.strip()), "")
