"""What is missing, damaged or forged in AMASS's files is named."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from amass_folder import MOTIONS, act12, clips_of, unpacked, world
from tiny_amass import Recorded, npz_bytes, write_archive, write_repository

from hmu_tasks.data.datasets.amass.index import read_index
from hmu_tasks.data.datasets.amass.writer import convert_folder
from hmu_tasks.ingest import ingest
from hmu_tasks.runtime.errors import DataError


def test_missing_sub_datasets_are_listed_before_anything_is_converted(tmp_path: Path) -> None:
    source, target = tmp_path / "amass", tmp_path / "out"
    clips = world(source)
    unpacked(source, {clip_id: clips[clip_id] for clip_id in ("000000", "000003", "000004")})
    with pytest.raises(DataError, match=r"2 of 5 motions cannot be converted") as caught:
        convert_folder(source, target)
    assert "MPI_HDM05: 2 clips of 1 motions; get it from AMASS, https://amass.is.tue.mpg.de" in str(
        caught.value
    )
    assert "humanact12: 2 clips of 1 motions; get it from pose_data/humanact12.zip" in str(caught.value)
    assert "ingest.on_bad: skip" in str(caught.value)
    assert not target.exists()
    # The remedies: without them, and with what was missing.
    converted = convert_folder(source, target, on_bad="skip")
    assert [line.split(":")[0] for line in converted.notes] == ["MPI_HDM05", "humanact12"]
    report = ingest(target, tmp_path / "clips", min_frames=20, on_bad="skip", notes=converted.notes)
    assert report.packed.clips == 6
    assert {entry.id for entry in report.skipped} == {"000001", "M000001", "000002", "M000002"}
    assert json.loads((tmp_path / "clips" / "ingest.json").read_text())["notes"] == list(converted.notes)
    act12(source)
    unpacked(source, clips)
    assert convert_folder(source, target).notes == ()
    assert len(clips_of(target)) == 10


def damaged(folder: Path, content: bytes) -> str:
    """The reason why a motion is left out."""
    write_repository(folder, {"000000": Recorded("KIT/3/kick", MOTIONS[0])}, {"train": ["000000"]})
    file = folder / "KIT" / "3" / "kick_poses.npz"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(DataError, match="1 of 1 motions") as caught:
        convert_folder(folder, folder.parent / "out")
    assert convert_folder(folder, folder.parent / "out", on_bad="skip").notes[1].strip() in str(caught.value)
    return str(caught.value)


def forged() -> bytes:
    """A header that announces a terabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in (("trans", np.zeros((1000, 3))), ("mocap_framerate", np.array(120.0))):
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(
                f"{name}.npy", content.getvalue().replace(b"(1000, 3), }      ", b"(99999999999, 3), }")
            )
    return buffer.getvalue()


MOTION = Recorded("KIT/3/kick", MOTIONS[0])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is damaged"),
        (b"PK\x03\x04 not a zip", "is damaged"),
        (npz_bytes(MOTION)[:-5000], "is damaged"),
        (npz_bytes(MOTION, mocap_framerate=15.0), "frame rate 15; expected 20 to 1000"),
        (npz_bytes(MOTION, mocap_framerate=np.nan), "frame rate nan"),
        (npz_bytes(MOTION, mocap_framerate="120"), "type <U3"),
        (npz_bytes(MOTION, trans=np.full((372, 3), np.nan)), "NaN"),
        (npz_bytes(MOTION, trans=np.zeros((5, 3))), "frames"),
        (npz_bytes(MOTION, poses=np.zeros((372, 60))), "expected"),
        (npz_bytes(MOTION, poses=np.array([{}], dtype=object)), "type object"),
        (forged(), "cut off"),
    ],
)
def test_damaged_files_are_named_with_a_reason(tmp_path: Path, content: bytes, match: str) -> None:
    message = damaged(tmp_path / "amass", content)
    assert match in message
    assert "kick_poses.npz" in message


@pytest.mark.parametrize("cut", [20, 3000, 30_000])
def test_a_truncated_archive_costs_what_follows_and_says_so(tmp_path: Path, cut: int) -> None:
    source = tmp_path / "amass"
    motions = {f"00000{n}": Recorded(f"KIT/3/kick{n}", MOTIONS[n]) for n in range(3)}
    write_repository(source, motions, {"train": list(motions)})
    file = write_archive(
        source / "KIT.tar.bz2", {f"{m.path}_poses.npz": npz_bytes(m) for m in motions.values()}
    )
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"KIT\.tar\.bz2.* is damaged .*download (it|that) again"):
        convert_folder(source, tmp_path / "out")


def test_a_shorter_motion_than_the_index_wants_is_used_and_listed(tmp_path: Path) -> None:
    source, target = tmp_path / "amass", tmp_path / "out"
    motion = Recorded("KIT/3/kick", MOTIONS[0])
    write_repository(source, {"000000": motion}, {"train": ["000000"]})
    (source / "index.csv").write_text((source / "index.csv").read_text().replace(",0,62,", ",0,99,"))
    unpacked(source, {"000000": motion})
    convert_folder(source, target)
    assert json.loads((target / "amass.json").read_text())["shorter_than_index"] == ["000000"]


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("./pose_data/KIT/3/x_poses.npy,0,10,../evil.npy", "new_name"),
        ("./pose_data/KIT/3/x_poses.npy,0,10,.hidden.npy", "new_name"),
        ("./pose_data/../x_poses.npy,0,10,000001.npy", "source_path"),
        ("./pose_data/KIT/3/x_poses.npy,zero,10,000001.npy", "start_frame"),
        ("./pose_data/KIT/3/x_poses.npy,0,10,000000.npy", "earlier line"),
        ('"./pose_data/KIT,0', "line"),
    ],
)
def test_a_faulty_index_names_the_line(tmp_path: Path, row: str, match: str) -> None:
    file = tmp_path / "index.csv"
    head = "source_path,start_frame,end_frame,new_name\n./pose_data/KIT/3/a_poses.npy,0,10,000000.npy\n"
    file.write_text(f"{head}{row}\n")
    with pytest.raises(DataError, match=match) as caught:
        read_index(file)
    assert f"{file} line " in str(caught.value)


def test_what_the_repository_brings_is_asked_for(tmp_path: Path) -> None:
    source = tmp_path / "amass"
    world(source)
    (source / "val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt.*missing.*github\.com/EricGuo5513/HumanML3D"):
        convert_folder(source, tmp_path / "out")


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "amass"
    clips = world(source)
    unpacked(tmp_path / "elsewhere", clips)
    (source / "KIT").symlink_to(tmp_path / "elsewhere" / "amass_data" / "KIT")
    with pytest.raises(DataError, match="leads out of its folder"):
        convert_folder(source, tmp_path / "out")
