"""ASF and AMC files of our own writing: positions by another computation, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tiny_asf import BONES, SCALE, motion, write

from hmu_tasks.data.datasets.bvh.asf import skeleton_of
from hmu_tasks.data.datasets.bvh.motion import convert
from hmu_tasks.data.datasets.bvh.name_maps import named
from hmu_tasks.data.datasets.bvh.reader import read
from hmu_tasks.data.datasets.bvh.writer import write_raw_folder
from hmu_tasks.data.motion.skeleton import JOINTS
from hmu_tasks.runtime.errors import DataError

Numbers = NDArray[np.float64]


def by_matrices(row: dict[str, list[float]]) -> dict[str, Numbers]:
    """Where each bone starts in one frame, by matrices of single turns, one after the other, in inches."""

    def turned(angles: dict[str, float], order: str) -> Numbers:
        whole = np.eye(3)
        for letter in order:
            whole = Rotation.from_euler(letter, angles[letter], degrees=True).as_matrix() @ whole
        return whole

    tx, ty, tz, rx, ry, rz = row["root"]
    ends = {"root": np.array([tx, ty, tz]) / SCALE}
    world = {"root": turned({"x": rx, "y": ry, "z": rz}, "xyz")}
    starts = {"root": ends["root"]}
    for name, parent, vector, axis, dof in BONES:
        frame = turned(dict(zip("xyz", axis, strict=True)), "xyz")
        letters = "".join(word[1] for word in dof.split())
        local = frame @ turned(dict(zip(letters, row.get(name, []), strict=True)), letters) @ frame.T
        world[name], starts[name] = world[parent] @ local, ends[parent]
        ends[name] = starts[name] + world[name] @ np.array(vector)
    return starts


def test_joints_are_where_matrices_put_them(tmp_path: Path) -> None:
    recording = read(write(tmp_path), fps=120)
    assert recording.seconds == 1 / 120
    assert recording.assumed == (
        "an AMC file has no frame time: 120 frames per second, as ingest.bvh.fps says",
    )
    world, rows = recording.world(), motion()
    for frame in (0, 17, 59):
        wanted = by_matrices(rows[frame])
        assert set(wanted) == set(recording.names)
        for name, place in wanted.items():
            np.testing.assert_allclose(world[frame, recording.names.index(name)], place, atol=1e-6)
    steps = (recording.rotations[1:] * recording.rotations[:-1]).sum(-1)
    assert steps.min() > 0.9


def test_the_shipped_name_map_and_inches_are_found(tmp_path: Path) -> None:
    found = convert(read(write(tmp_path), fps=120))
    assert (found.skeleton, found.metres, found.up) == ("cmu_asf", 0.0254, "y")
    assert found.leg == pytest.approx((np.hypot(4, 15) + np.hypot(15.7, 0.4)) * 0.0254, rel=1e-6)
    knee = by_matrices(motion()[0])["ltibia"] * 0.0254
    np.testing.assert_allclose(found.joints[0, JOINTS.index("left_knee")], knee, atol=1e-6)
    assert named("cmu_asf")


def test_a_folder_of_amc_files_is_converted(tmp_path: Path) -> None:
    write(tmp_path / "cmu")
    write(tmp_path / "cmu", amc="01_02.amc")
    (tmp_path / "cmu" / "captions.csv").write_text("file,caption,split\n01_01.amc,a person walks,train\n")
    target = tmp_path / "out"
    target.mkdir()
    with pytest.raises(DataError, match=r"01_01\.amc has no frame rate, .* set ingest\.bvh\.fps"):
        write_raw_folder(target, folder=tmp_path / "cmu", captions=Path("captions.csv"), seed=0)
    target = tmp_path / "again"
    target.mkdir()
    write_raw_folder(target, folder=tmp_path / "cmu", captions=Path("captions.csv"), seed=0, fps=30)
    assert (target / "new_joint_vecs" / "01_01.npy").is_file()
    assert '"01_02.amc"' in (target / "bvh.json").read_text()


@pytest.mark.parametrize(
    ("asf", "amc"), [("01.asf", "01_01.amc"), ("walk.ASF", "walk.amc"), ("any.asf", "other.AMC")]
)
def test_the_skeleton_beside_a_motion_is_found(tmp_path: Path, asf: str, amc: str) -> None:
    assert skeleton_of(write(tmp_path, asf=asf, amc=amc)).name == asf


def test_a_skeleton_that_is_missing_or_leads_out_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "cmu")
    (tmp_path / "cmu" / "01.asf").rename(tmp_path / "02.asf")
    with pytest.raises(DataError, match=r"has no skeleton: put 01_01\.asf or 01\.asf beside it"):
        read(file, fps=120)
    (tmp_path / "cmu" / "01.asf").symlink_to(tmp_path / "02.asf")
    (tmp_path / "cmu" / "captions.csv").write_text("file,caption,split\n01_01.amc,a person walks,train\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="a link that leads out"):
        write_raw_folder(
            tmp_path / "out", folder=tmp_path / "cmu", captions=Path("captions.csv"), seed=0, fps=120
        )


@pytest.mark.parametrize(
    ("file", "old", "new", "match"),
    [
        ("01.asf", "angle deg", "angle rad", "not valid ASF .*angles in rad"),
        ("01.asf", "name ltibia", "name lfemur", "not valid ASF .*a bone lfemur already"),
        ("01.asf", "lfemur ltibia", "lfemur tibia", "not valid ASF .*do not make a tree"),
        ("01.asf", "order TX TY TZ RX RY RZ\r\n   axis", "order RX RY RZ\r\n   axis", "not valid ASF"),
        ("01.asf", "dof rx\r\n", "dof l\r\n", "not valid ASF .*degrees of freedom that are not read"),
        ("01.asf", "length 0.45", "length 0", "not valid ASF"),
        ("01.asf", "length 0.45", "length", "not valid ASF"),
        ("01.asf", "orientation 0 0 0", "orientation 0 90 0", "not valid ASF .*turned in its rest pose"),
        ("01.asf", "id 1", "\0" * 9, None),
        ("01_01.amc", "\nltibia ", "\nltibia 5 ", r"line \d+: 'ltibia 5 .* does not fit the skeleton"),
        ("01_01.amc", "\nltibia ", "\ntail ", r"line \d+: 'tail"),
        ("01_01.amc", "\nltibia ", "\nltibia nan ", r"line \d+: 'ltibia nan"),
        ("01_01.amc", "root 0 ", "root 1e12 ", r"line 5: 'root 1e12"),
        ("01_01.amc", ":FULLY-SPECIFIED", ":RADIANS", r"line 2: ':RADIANS' does not fit"),
        ("01_01.amc", "\n60\n", "\n60\nroot 0 0 0 0 0 0\n", r"line \d+: 'root"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, file: str, old: str, new: str, match: str | None) -> None:
    motion_file = write(tmp_path)
    text = (tmp_path / file).read_bytes().decode()
    assert old in text
    (tmp_path / file).write_bytes(text.replace(old, new, 1).encode())
    if match is None:
        assert read(motion_file, fps=120).names
        return
    with pytest.raises(DataError, match=f"(?s){match}"):
        read(motion_file, fps=120)


@pytest.mark.parametrize("kept", [0, 60, 900])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    file = write(tmp_path)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"does not fit the skeleton|incomplete or too few"):
        read(file, fps=120)
