"""Reading BVH files: valid files are read, everything else gives a clear error."""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_bvh import write_bvh

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
        ("Frame Time: 0.05", "Frame Time: 0", r"frame time 0; expected 0.001 to 0.2 seconds: .* set ingest\.bvh\.fps"),
        ("Frame Time: 0.05", "Frame Time: -0.05", "frame time -0.05"),
        ("Frame Time: 0.05", "Frame Time: nan", "frame time nan"),
        ("Frame Time: 0.05", "Frame Time: 2.5", "frame time 2.5"),
        ("Frame Time: 0.05\n", "", r"has no frame time; expected .* set ingest\.bvh\.fps"),
        ("Frames: 3", "Frames: 1", "declares 1 frames but has 3"),
        ("Frames: 3", "Frames: 4", "declares 4 frames but has 3: it is truncated"),
        ("Frames: 3", "Frames: -3", "lacks the line"),
        ("  7 17 27", "  7 17", r"line 32: 17 numbers for 18 channels"),
        ("  7 17 27", "  7 17 27 37", r"line 32: 19 numbers for 18 channels"),
        ("  7 17 27", "  7 17 NaN", r"line 32: NaN, infinite or implausibly large"),
        ("  7 17 27", "  7 17 1e999", r"line 32: NaN, infinite"),
        ("  7 17 27", "  7 17 1e30", r"line 32: NaN, infinite or implausibly large"),
        ("  7 17 27", "  7 17 2,5,1", r"line 32: contains something that is not a number"),
        ("  7 17 27", "  7 17 2.5.1", r"line 32: contains something that is not a number"),
        ("  7 17 27", "  7 17 2.5, 27", r"line 32: 19 numbers for 18 channels"),
        ("OFFSET 4 0 0", "OFFSET 4 0", r"line 14: OFFSET needs three numbers"),
        ("OFFSET 4 0 0", "OFFSET 4 0 inf", "OFFSET needs three numbers"),
        ("    OFFSET 4 0 0\n", "", r"joint Arm lacks its OFFSET line"),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", "CHANNELS 4 Xrotation Yrotation Zrotation", "Hand: CHANNELS does"),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", "CHANNELS 2 Xrotation Yrotation", "18 numbers for 17 channels"),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", "CHANNELS 3 Xrotation Xrotation Zrotation", "each once"),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", "", "18 numbers for 15 channels"),
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


def rows_of(text: str) -> str:
    return check(text).text.partition("Frame Time")[2].split("\n", 1)[1]


POINTS = SMALL.replace("27\n\n", "27.5\n\n").replace("OFFSET 4 0 0", "OFFSET 4.25 0 0")


@pytest.mark.parametrize(
    ("change", "assumed"),
    [
        (lambda text: text.replace("27.5", "27,5").replace("4.25", "4,25"), "commas are decimal points"),
        (
            lambda text: re.sub(r"(?<=\d) +(?=[-\d])", ";", text.replace("27.5", "27,5").replace("4.25", "4,25")),
            "commas are decimal points",
        ),
        (
            lambda text: re.sub(r"(?m)^(5 .*)$", lambda row: ", ".join(row[1].split()), text),
            "commas and semicolons separate numbers",
        ),
        (
            lambda text: re.sub(r"(?m)^(5 6 .*?)  (4[012])", r"\1\n\2", text),
            "its 6 motion lines hold 3 frames, as their numbers say",
        ),
        (
            lambda text: text.partition("0.05\n")[0] + "0.05\n" + " ".join(text.partition("0.05\n")[2].split()),
            "its 1 motion lines hold 3 frames, as their numbers say",
        ),
    ],
    ids=["decimal commas", "decimal commas and semicolons", "commas between", "wrapped", "one line"],
)  # fmt: skip
def test_numbers_are_understood_however_they_are_written(change, assumed):
    expected, text = rows_of(POINTS), change(POINTS)
    assert text != POINTS
    found = check(text)
    assert assumed in found.assumed
    numbers = [[float(word) for word in row.split()] for row in rows_of(text).splitlines()]
    assert numbers == [[float(word) for word in row.split()] for row in expected.splitlines()]
    assert "OFFSET 4.25 0 0" in found.text


def test_a_comma_in_a_name_changes_no_number():
    assert check(SMALL.replace("JOINT Arm", "JOINT Arm,5 left")).assumed == ()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
def test_encodings_and_line_endings(tmp_path, encoding, ending):
    file = tmp_path / "a.bvh"
    file.write_bytes(SMALL.replace("Arm", "Ärm").rstrip().replace("\n", ending).encode(encoding))
    assert read(file).names == ("Hips", "MOTION Frames", "Ärm", "Hand")


def test_a_header_alone_is_refused():
    with pytest.raises(DataError, match="not a BVH file"):
        check("")
    with pytest.raises(DataError, match="has no ROOT"):
        check("HIERARCHY\nMOTION\nFrames: 3\nFrame Time: 0.05\n")


def test_a_generated_file_is_read(tmp_path):
    recording = read(write_bvh(tmp_path / "a.bvh", 5))
    assert len(recording.names) == 22
    assert recording.world().shape == (5, 22, 3)


ALIKE = {
    "Ctrl-Z": lambda text: text + "\x1a",
    "NUL": lambda text: text + "\0" * 512,
    "blank in Frames :": lambda text: text.replace("Frames: 3", "Frames :\t3").replace(
        "Frame Time:", "Frame  Time :"
    ),
    "frames with a point": lambda text: text.replace("Frames: 3", "Frames: 3.0"),
    "tabs": lambda text: text.replace("  ", "\t").replace(" ", "\t"),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "scientific": lambda text: text.replace("0.05", "5.0e-02").replace("5 6 7 10", "5.0e0 6E+00 0.7e1 1e1"),
    "decimal comma of the frame time": lambda text: text.replace("0.05", "0,05"),
    "without End Site": lambda text: text.replace("    End site\n    { OFFSET 0 5 0 }\n", ""),
    "no End Site at all": lambda text: re.sub(r" *End [Ss]ite\s*{[^}]*}\n", "", text),
    "upper case": lambda text: (
        text.replace("Xrot", "XROT").replace("rotation", "ROTATION").replace("Zposition", "ZPOSITION")
    ),
    "comment": lambda text: "# exported by a tool\n" + text,
    "UTF-16": lambda text: ("\ufeff" + text).encode("utf-16-le"),
    "Latin name": lambda text: text.replace("Arm", "Bras gauche \xe9").encode("cp1252"),
    "one row fewer declared": lambda text: text.replace("Frames: 3", "Frames: 2"),
    "no count": lambda text: text.replace("Frames: 3", "Frames: 0"),
    "half a row behind": lambda text: text.rstrip() + "\n5 6 9 12 22\n",
    "frame time 0": lambda text: text.replace("0.05", "0"),
    "frame time 0.000000": lambda text: text.replace("0.05", "0.000000"),
    "no frame time": lambda text: text.replace("Frame Time: 0.05\n", ""),
    "empty frame time": lambda text: text.replace("Frame Time: 0.05", "Frame Time:"),
}
SILENT = {
    "blank in Frames :",
    "frames with a point",
    "tabs",
    "CRLF",
    "CR",
    "scientific",
    "upper case",
    "comment",
}
SILENT |= {"UTF-16", "Latin name"}


@pytest.mark.parametrize("quirk", ALIKE)
def test_what_exporters_do_in_their_own_way_is_read_and_noted(tmp_path, quirk):
    plain, odd = tmp_path / "plain.bvh", tmp_path / "odd.bvh"
    plain.write_text(SMALL)
    changed = ALIKE[quirk](SMALL)
    assert changed != SMALL
    odd.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    expected, found = read(plain), read(odd, fps=20.0)
    np.testing.assert_allclose(found.world(), expected.world(), atol=1e-9)
    assert found.seconds == pytest.approx(0.05)
    assert bool(found.assumed) == (quirk not in SILENT), found.assumed
    assert expected.assumed == ()


def test_the_knob_does_not_overrule_a_file_that_knows(tmp_path):
    file = tmp_path / "a.bvh"
    file.write_text(SMALL)
    assert read(file, fps=120.0).seconds == 0.05


def test_the_notes_say_what_was_assumed(tmp_path):
    file = tmp_path / "a.bvh"
    file.write_text(ALIKE["frame time 0"](ALIKE["no End Site at all"](SMALL)) + "\x1a")
    assert read(file, fps=60.0).assumed == (
        "what follows the last line (Ctrl-Z or NUL) is no data",
        "joint MOTION Frames has no End Site and is taken for the last of its chain",
        "joint Hand has no End Site and is taken for the last of its chain",
        "has the frame time 0: 60 frames per second, as ingest.bvh.fps says",
    )


TURNS = "Xrotation Yrotation Zrotation"
CHANNELS = [
    (f"CHANNELS 6 {TURNS} Xposition Yposition Zposition", "0 0 7"),
    (f"CHANNELS 6 {TURNS} Xscale Yscale Zscale", "1 1 1"),
    (f"CHANNELS 5 {TURNS} Yposition Xposition", "0 0"),
]


@pytest.mark.parametrize(("new", "more"), CHANNELS)
def test_other_channels_and_orders_mean_the_same(tmp_path, new, more):
    plain, odd = tmp_path / "plain.bvh", tmp_path / "odd.bvh"
    plain.write_text(SMALL)
    lines = SMALL.replace(f"CHANNELS 3 {TURNS}", new).split("\n")
    start = lines.index("Frame Time: 0.05") + 1
    odd.write_text("\n".join(lines[:start] + [f"{line} {more}" if line else line for line in lines[start:]]))
    np.testing.assert_allclose(read(odd).world(), read(plain).world(), atol=1e-9)


@pytest.mark.parametrize("channels", ["CHANNELS 0", "", "CHANNELS 1 Yrotation"])
def test_joints_with_fewer_channels_do_not_move_in_the_others(tmp_path, channels):
    file = tmp_path / "a.bvh"
    kept = 1 if "Y" in channels else 0
    lines = SMALL.replace("CHANNELS 3 Xrotation Yrotation Zrotation", channels).split("\n")
    start = lines.index("Frame Time: 0.05") + 1
    rows = [line.split() for line in lines[start:] if line]
    text = [" ".join([*row[:15], *row[16 : 16 + kept]]) for row in rows]
    file.write_text("\n".join(lines[:start] + text))
    found = read(file)
    turn = Rotation.from_euler("Y", 17 if kept else 0, degrees=True).as_quat(scalar_first=True)
    np.testing.assert_allclose(found.rotations[2, 3], turn, atol=1e-9)
    assert any("Hand has no channel" in note for note in found.assumed)


@pytest.mark.parametrize("name", ["a.fbx", "walk 1.GLB", "b.gltf", "c.c3d", "d.asf"])
def test_other_formats_say_how_to_convert_them(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match="which is not read") as caught:
        read(tmp_path / name)
    if "blender" in str(caught.value):
        code = re.search(r'--python-expr "(.*)"', str(caught.value))[1]
        compile(code, "blender", "exec")
        assert f"filepath='{name}'" in code


def test_files_found_with_the_captures(shared):
    folder = shared / "data" / "found" / "13-bvh"
    plain = read(folder / "plain.bvh")
    for name in ("one-row-more.bvh", "ctrl-z-at-end.bvh"):
        found = read(folder / name)
        np.testing.assert_array_equal(found.world(), plain.world())
        assert len(found.assumed) == 1
