"""Reading BVH files: valid files are read, everything else gives a clear error."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tiny_bvh import bvh_text, write_bvh

from hmu_tasks.data.datasets.bvh.grammar import check
from hmu_tasks.data.datasets.bvh.reader import read
from hmu_tasks.runtime.errors import DataError

SMALL = """HIERARCHY
ROOT Hips {
  OFFSET 1 2 3
  CHANNELS 6 Zposition Xposition Yposition Yrotation Zrotation Xrotation
  JOINT MOTION Frames
  {
    OFFSET 0 10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End site
    { OFFSET 0 5 0 }
  }
  JOINT Arm
  {
    OFFSET 4 0 0
    CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
    JOINT Hand
    {
      OFFSET 0 0 7
      CHANNELS 3 Xrotation Yrotation Zrotation
      End Site
      {
        OFFSET 0 0 1
      }
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.05
5 6 7 10 20 30  40 50 60  1 2 3 -10 -20 -30  5 15 25
5 6 8 11 21 31  41 51 61  1 2 3 -11 -21 -31  6 16 26
5 6 9 12 22 32  42 52 62  1 2 3 -12 -22 -32  7 17 27

"""


def test_positions_follow_the_channels_of_the_file(tmp_path):
    file = tmp_path / "any name.bvh"
    file.write_text(SMALL.replace("\n", "\r\n"), encoding="utf-8-sig")
    recording = read(file)
    assert recording.names == ("Hips", "MOTION Frames", "Arm", "Hand")
    assert recording.parents == (-1, 0, 0, 2)
    assert recording.seconds == 0.05
    root = Rotation.from_euler("YZX", [12, 22, 32], degrees=True)
    arm = root * Rotation.from_euler("ZYX", [-12, -22, -32], degrees=True)
    hips = np.array([6, 9, 5])
    # Position channels replace OFFSET, at the root and at the arm.
    wanted = [hips, hips + root.apply([0, 10, 0]), hips + root.apply([1, 2, 3])]
    wanted.append(wanted[2] + arm.apply([0, 0, 7]))
    np.testing.assert_allclose(recording.world()[2], wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCHIE", "does not start with HIERARCHY"),
        ("MOTION\nFrames: 3", "Frames: 3", "has no line MOTION: the file is truncated"),
        ("    End site\n    { OFFSET 0 5 0 }\n", "", r"line 5: joint MOTION Frames has neither a child nor an End"),
        ("End Site\n      {\n        OFFSET 0 0 1\n      }", "", "joint Hand has neither a child nor an End Site"),
        ("Frame Time: 0.05", "Frame Time: 0", r"frame time 0; expected 0.001 to 0.2 seconds: correct it"),
        ("Frame Time: 0.05", "Frame Time: -0.05", "frame time -0.05"),
        ("Frame Time: 0.05", "Frame Time: nan", "frame time nan"),
        ("Frame Time: 0.05", "Frame Time: 2.5", "frame time 2.5"),
        ("Frame Time: 0.05\n", "", "lacks the lines `Frames: N` and `Frame Time"),
        ("Frames: 3", "Frames: 2", r"has 2 frames; a motion needs at least 3"),
        ("Frames: 3", "Frames: 1", "has 1 frames"),
        ("Frames: 3", "Frames: 4", "declares 4 frames but has 3: it is truncated"),
        ("Frames: 3", "Frames: -3", "lacks the lines"),
        ("  7 17 27", "  7 17", r"line 32: 17 numbers for 18 channels"),
        ("  7 17 27", "  7 17 27 37", r"line 32: 19 numbers for 18 channels"),
        ("  7 17 27", "  7 17 NaN", r"line 32: NaN, infinite or implausibly large"),
        ("  7 17 27", "  7 17 1e999", r"line 32: NaN, infinite"),
        ("  7 17 27", "  7 17 1e30", r"line 32: NaN, infinite or implausibly large"),
        ("  7 17 27", "  7 17 2,5", r"line 32: contains something that is not a number"),
        ("OFFSET 4 0 0", "OFFSET 4 0", r"line 14: OFFSET needs three numbers"),
        ("OFFSET 4 0 0", "OFFSET 4 0 inf", "OFFSET needs three numbers"),
        ("    OFFSET 4 0 0\n", "", r"joint Arm lacks its OFFSET or CHANNELS"),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", "CHANNELS 4 Xrotation Yrotation Zrotation", "Hand: CHANNELS does"),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", "CHANNELS 2 Xrotation Yrotation", "Hand has channels Xrotation Y"),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", "CHANNELS 3 Xrotation Xrotation Zrotation", "three rotations"),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", "", "joint Hand lacks its OFFSET or CHANNELS"),
        ("JOINT Hand", "JOINT Arm", "two joints called Arm"),
        ("JOINT Hand", "JOINT", "JOINT without a name"),
        ("JOINT Arm\n  {", "JOINT Arm\n", r"expected \{ after line 12"),
        ("ROOT Hips", "JOINT Hips", "is outside of any joint"),
        ("}\nMOTION", "MOTION", "never closes joint Hips"),
        ("}\nMOTION", "}\n}\nMOTION", "'}' is out of place"),
        ("}\nMOTION", "}\nROOT Second\n{\nMOTION", "a second ROOT"),
        ("JOINT Arm", "JIONT Arm", "'JIONT Arm' is out of place"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line(old, new, message):
    assert old in SMALL
    with pytest.raises(DataError, match=message):
        check(SMALL.replace(old, new, 1))


def test_a_header_alone_is_refused():
    with pytest.raises(DataError, match="not a BVH file"):
        check("")
    with pytest.raises(DataError, match="has no ROOT"):
        check("HIERARCHY\nMOTION\nFrames: 3\nFrame Time: 0.05\n")


def test_other_bytes_are_refused(tmp_path):
    file = tmp_path / "latin.bvh"
    file.write_bytes(SMALL.replace("Arm", "Kniekehle \xe4").encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read(file)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.bvh")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)


PIECES = ["", "{", "}", "\n", "JOINT", "End Site", "MOTION", "OFFSET", "CHANNELS", "0", "nan", "-", "\0"]
WORDS = re.findall(r"\S+|\n", bvh_text(3))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(WORDS) - 1),
            st.sampled_from(PIECES),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, len(WORDS)),
)  # fmt: skip
def test_whatever_is_changed_is_read_or_refused(tmp_path_factory, changes, end):
    """A file with a few words replaced, possibly truncated, gives finite positions or a DataError, nothing else."""
    words = list(WORDS)
    for place, word in changes:
        words[place] = word
    file = tmp_path_factory.mktemp("fuzz") / "a.bvh"
    file.write_text(" ".join(words if end % 2 else words[:end]), encoding="utf-8")
    try:
        recording = read(file)
    except DataError:
        return
    assert np.isfinite(recording.world()).all()
    assert len(recording.positions) == 3


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"HIERARCHY\n{text}\nMOTION\n".encode())
)
def test_bytes_at_random_are_refused(tmp_path_factory, raw):
    file = tmp_path_factory.mktemp("fuzz") / "a.bvh"
    file.write_bytes(raw)
    with pytest.raises(DataError):
        read(file)


def test_a_generated_file_is_read(tmp_path):
    recording = read(write_bvh(tmp_path / "a.bvh", 5))
    assert len(recording.names) == 22
    assert recording.world().shape == (5, 22, 3)
