"""HumanML3D from AMASS: the released script's steps, archives and names as people have them, gaps, resuming."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny_amass import Recorded, npz_bytes, parameters, write_archive, write_repository

from hmu_tasks.data.clips.clips import Clip
from hmu_tasks.data.datasets.amass import writer
from hmu_tasks.data.datasets.amass.index import IndexRow, read_index
from hmu_tasks.data.datasets.amass.motion import entry_joints
from hmu_tasks.data.datasets.amass.names import CUTS, key_of, sub_dataset
from hmu_tasks.data.datasets.amass.writer import convert_folder
from hmu_tasks.data.datasets.humanml3d import find
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.data.datasets.smpl.joints import BODY, joints_of
from hmu_tasks.data.datasets.synthetic.writer import sample_clip
from hmu_tasks.data.motion.features import from_joints, mirror_joints, to_joints
from hmu_tasks.ingest import ingest
from hmu_tasks.runtime.errors import DataError

MOTIONS = [sample_clip(1, "train", number).joints[:62] for number in range(4)]


def entry(path: str = "KIT/3/kick", start: int = 0, end: int = 10_000) -> IndexRow:
    return IndexRow("000000", key_of(f"{path}_poses.npy".split("/")), path, start, end)


def world(folder: Path, *, skip: tuple[str, ...] = ()) -> dict[str, Recorded | str]:
    """A clone of the repository with five clips of four sub-datasets and HumanAct12, and no motion yet."""
    clips: dict[str, Recorded | str] = {
        "000000": Recorded("KIT/3/kick high left02", MOTIONS[0], fps=100, start=2),
        "000001": "humanact12/humanact12/P11G01R02F1812T1847A0402.npy",
        "000002": Recorded("MPI_HDM05/bk/HDM_bk_04-01_02_120", MOTIONS[1], fps=120, cut=60, after=5),
        "000003": Recorded("BioMotionLab_NTroje/rub001/0000_treadmill_norm", MOTIONS[2], fps=60),
        "000004": Recorded("SSM_synced/20161014_50033/punch_kick_sync", MOTIONS[3], fps=250, start=7),
    }
    write_repository(
        folder, clips, {"train": ["000000", "000001", "000002"], "val": ["000003"], "test": ["000004"]}
    )
    return clips


def act12(folder: Path) -> None:
    place = folder / "pose_data" / "humanact12" / "humanact12"
    place.mkdir(parents=True)
    np.save(place / "P11G01R02F1812T1847A0402.npy", np.pad(MOTIONS[1], ((0, 0), (0, 2), (0, 0))))


def unpacked(folder: Path, clips: dict[str, Recorded | str], names: dict[str, str] | None = None) -> None:
    for motion in clips.values():
        if isinstance(motion, Recorded):
            path = motion.path
            for old, new in (names or {}).items():
                path = path.replace(old, new)
            ending = "stageii" if motion.stageii else "poses"
            file = folder / "amass_data" / f"{path}_{ending}.npz"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(npz_bytes(motion))


def clips_of(folder: Path) -> dict[str, Clip]:
    return {clip.clip_id: clip for clip in RawFolder(find(folder), min_frames=20).clips()}


def close(found: np.ndarray, joints: np.ndarray) -> None:
    want = from_joints(joints, offsets=BODY)
    assert found.shape == want.shape
    errors = np.linalg.norm(to_joints(found) - to_joints(want), axis=-1)
    assert errors.mean() < 0.006
    assert (found[:, -4:] == want[:, -4:]).all(axis=1).mean() >= 0.95


def test_a_folder_of_unpacked_sub_datasets_gives_what_the_scripts_leave(tmp_path: Path) -> None:
    source, target = tmp_path / "amass", tmp_path / "out"
    clips = world(source)
    act12(source)
    unpacked(source, clips)
    converted = convert_folder(source, target)
    assert converted.folder == target
    assert converted.notes == ()
    found = clips_of(target)
    assert set(found) == {f"{letter}{clip_id}" for clip_id in clips for letter in ("", "M")}
    for clip_id, motion in clips.items():
        if isinstance(motion, Recorded):
            close(found[clip_id].features, motion.joints)
            row = IndexRow(clip_id, key_of(motion.source_path.split("/")[2:]), "", motion.start, motion.end)
            joints = entry_joints(io.BytesIO(npz_bytes(motion)), row)
            twin = from_joints(mirror_joints(joints), offsets=BODY)
            np.testing.assert_array_equal(found[f"M{clip_id}"].features, twin)
    # Joint arrays are neither cut nor negated.
    np.testing.assert_array_equal(
        found["000001"].features, from_joints(MOTIONS[1].astype(np.float64), offsets=BODY)
    )
    for clip_id, clip in found.items():
        np.testing.assert_array_equal(
            np.load(target / "new_joints" / f"{clip_id}.npy"), to_joints(clip.features)
        )
    frames = np.concatenate([np.load(file) for file in sorted((target / "new_joint_vecs").iterdir())])
    np.testing.assert_allclose(np.load(target / "Mean.npy"), frames.mean(axis=0), atol=1e-5)
    assert np.load(target / "Std.npy")[4:67].std() < 1e-6
    record = json.loads((target / "amass.json").read_text())
    assert record["missing"] == {}
    assert record["motions"]["KIT"] == 1


def test_our_clips_come_back_through_rotations_within_five_millimetres() -> None:
    errors, contacts = [], []
    for number in range(12):
        joints = sample_clip(10107, "train", number).joints
        motion = Recorded("KIT/3/kick", joints, fps=100, start=3)
        found = from_joints(
            entry_joints(io.BytesIO(npz_bytes(motion)), entry(start=3, end=motion.end)), offsets=BODY
        )
        want = from_joints(joints, offsets=BODY)
        errors.append(np.linalg.norm(to_joints(found) - to_joints(want), axis=-1).mean())
        contacts.append((found[:, -4:] == want[:, -4:]).all(axis=1))
    assert np.mean(errors) < 0.005
    assert np.concatenate(contacts).mean() >= 0.99


def test_real_clips_come_back_through_rotations(shared: Path) -> None:
    """Their subjects' hips and shoulders differ from the mean body's: 1 to 15 mm."""
    errors, contacts = {}, []
    for file in sorted((shared / "data" / "features_263").glob("*[0-9].npy")):
        joints = to_joints(np.load(file).astype(np.float32)).astype(np.float64)
        motion = Recorded("KIT/3/kick", joints)
        found = from_joints(entry_joints(io.BytesIO(npz_bytes(motion)), entry(end=motion.end)), offsets=BODY)
        want = from_joints(joints, offsets=BODY)
        seen = to_joints(found) - to_joints(found)[:, :1], to_joints(want) - to_joints(want)[:, :1]
        errors[file.stem] = np.linalg.norm(seen[0] - seen[1], axis=-1).mean()
        contacts.append((found[:, -4:] == want[:, -4:]).all(axis=1))
    assert len(errors) == 6
    assert max(errors.values()) < 0.009, errors
    assert np.mean(list(errors.values())) < 0.005, errors
    assert np.concatenate(contacts).mean() >= 0.99


@pytest.mark.parametrize("fps", [20.0, 59.0, 60.0, 100.0, 120.0, 250.0])
@pytest.mark.parametrize("sub", ["KIT", *CUTS])
def test_frames_and_axes_are_those_of_the_released_script(fps: float, sub: str) -> None:
    """Step by step as the notebook: all frames to joints, every int(fps / 20)-th, axes, cut, index, x negated."""
    rng = np.random.default_rng(0)
    frames = int(fps * 6)
    turns = np.cumsum(rng.normal(size=(frames, 156)) * 0.01, axis=0)
    path = np.cumsum(rng.normal(size=(frames, 3)) * 0.01, axis=0)
    file = io.BytesIO()
    np.savez_compressed(file, poses=turns, trans=path, mocap_framerate=fps, gender="male", betas=np.ones(16))
    found = entry_joints(io.BytesIO(file.getvalue()), entry(f"{sub}/a/b", start=4, end=30))
    joints = joints_of(turns, path)[:: int(fps / 20)] @ np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
    for name, seconds in (
        ("Eyes_Japan_Dataset", 3),
        ("MPI_HDM05", 3),
        ("TotalCapture", 1),
        ("MPI_Limits", 1),
        ("Transitions_mocap", 0.5),
    ):
        joints = joints[int(seconds * 20) :] if name == sub else joints
    joints = joints[4:30]
    joints[..., 0] *= -1
    np.testing.assert_allclose(found, joints, atol=1e-9)


NEW = {"BioMotionLab_NTroje": "BMLrub", "MPI_HDM05": "HDM05", "SSM_synced": "SSM"}


@pytest.mark.parametrize(
    "packing",
    [
        {"ending": ".tar.bz2"},
        {"ending": ".tar.xz"},
        {"ending": ".tar.gz"},
        {"ending": ".tar"},
        {"ending": ".tar.bz2", "streams": 5},
        {"ending": ".tar.bz2", "renamed": NEW},
        {"ending": ".tar.bz2", "archive": "part 1"},
        {"ending": ".tar.xz", "bare": True},
    ],
    ids=str,
)
def test_archives_as_downloaded_give_the_same_bytes_as_unpacked_files(tmp_path: Path, packing: dict) -> None:
    plain, source = tmp_path / "plain", tmp_path / "amass"
    clips = world(plain)
    act12(plain)
    unpacked(plain, clips)
    expected = clips_of(convert_folder(plain, tmp_path / "expected").folder)
    world(source)
    renamed = packing.get("renamed", {})
    members: dict[str, dict[str, bytes]] = {}
    for motion in clips.values():
        if isinstance(motion, Recorded):
            sub, _, rest = motion.path.partition("/")
            sub = renamed.get(sub, sub)
            inside = rest if packing.get("bare") else f"{sub}/{rest}"
            members.setdefault(packing.get("archive", sub), {})[f"{inside}_poses.npz"] = npz_bytes(motion)
    for name, files in members.items():
        files = {
            "LICENSE.txt": b"x",
            next(iter(files)).rpartition("/")[0] + "/shape.npz": b"no motion",
        } | files
        write_archive(
            source / "downloads" / f"{name}{packing['ending']}", files, streams=packing.get("streams", 1)
        )
    with zipfile.ZipFile(source / "humanact12.zip", "w") as archive:
        for file in sorted((plain / "pose_data").rglob("*.npy")):
            archive.write(file, file.relative_to(plain / "pose_data").as_posix())
    found = clips_of(convert_folder(source, tmp_path / "out").folder)
    assert set(found) == set(expected)
    for clip_id, clip in expected.items():
        np.testing.assert_array_equal(found[clip_id].features, clip.features)


def test_newer_files_and_names_of_smplx(tmp_path: Path) -> None:
    source = tmp_path / "amass"
    motion = Recorded("ACCAD/Female1General_c3d/A1 - Stand", MOTIONS[0], stageii=True)
    write_repository(source, {"000000": motion}, {"train": ["000000"]})
    file = source / "ACCAD" / "Female1General_c3d" / "A1_-_Stand_stageii.npz"
    file.parent.mkdir(parents=True)
    file.write_bytes(npz_bytes(motion))
    close(clips_of(convert_folder(source, tmp_path / "out").folder)["000000"].features, motion.joints)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("BMLrub.tar.bz2", "BioMotionLab_NTroje"),
        ("BioMotionLabNTroje.tar.bz2", "BioMotionLab_NTroje"),
        ("DFaust67.tar.bz2", "DFaust_67"),
        ("EyesJapanDataset (1).tar.bz2", "Eyes_Japan_Dataset"),
        ("PosePrior", "MPI_Limits"),
        ("MPIHDM05.tar.xz", "MPI_HDM05"),
        ("tcdhandmocap.tar", "TCD_handMocap"),
        ("Transitions", "Transitions_mocap"),
        ("MoSh.zip", "MPI_mosh"),
        ("holiday.tar.bz2", None),
    ],
)
def test_names_of_sub_datasets(name: str, own: str | None) -> None:
    assert sub_dataset(name) == own


def test_a_folder_of_an_unknown_name_is_matched_by_subject_and_file(tmp_path: Path) -> None:
    source = tmp_path / "amass"
    clips = world(source)
    act12(source)
    unpacked(source, clips, {"KIT": "from my disk"})
    assert "000000" in clips_of(convert_folder(source, tmp_path / "out").folder)


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


def test_a_killed_run_continues_and_converts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "amass", tmp_path / "out"
    clips = world(source)
    act12(source)
    unpacked(source, clips)
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        assert total == 5
        seen.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_folder(source, target, progress=stop)
    assert not (target / "train.txt").exists()
    with (target / "converted.jsonl").open("a") as file:
        file.write('{"id": "0000')  # as a killed process leaves it
    made: list[str] = []
    real = writer.convert

    def counting(task: writer.Task):  # type: ignore[no-untyped-def]
        for outcome in real(task):
            made.append(outcome.clip_id)
            yield outcome

    monkeypatch.setattr(writer, "convert", counting)
    convert_folder(source, target)
    assert len(made) == 2
    whole = clips_of(convert_folder(source, tmp_path / "at once").folder)
    assert len(made) == 7
    for clip_id, clip in clips_of(target).items():
        np.testing.assert_array_equal(clip.features, whole[clip_id].features)
    made.clear()
    convert_folder(source, target)
    assert made == []
    # A file that changed, and an index that did, are converted again; what is not listed any more goes.
    motion = clips["000003"]
    assert isinstance(motion, Recorded)
    (source / "amass_data" / f"{motion.path}_poses.npz").write_bytes(npz_bytes(motion, betas=np.zeros(16)))
    (source / "train.txt").write_text("000000\nM000000\n")
    convert_folder(source, target)
    assert made == ["000003"]
    assert not (target / "new_joint_vecs" / "000001.npy").exists()


def test_any_number_of_processes_gives_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "amass"
    clips = world(source)
    act12(source)
    for motion in clips.values():
        if isinstance(motion, Recorded):
            sub = motion.path.partition("/")[0]
            write_archive(source / f"{sub}.tar.bz2", {f"{motion.path}_poses.npz": npz_bytes(motion)})
    one = convert_folder(source, tmp_path / "one", processes=1).folder
    two = convert_folder(source, tmp_path / "two", processes=2).folder
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file() and p.name != "converted.jsonl")
    assert names == sorted(
        p.relative_to(two) for p in two.rglob("*") if p.is_file() and p.name != "converted.jsonl"
    )
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


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


def test_texts_from_a_zip_file(tmp_path: Path) -> None:
    source, target = tmp_path / "amass", tmp_path / "out"
    clips = world(source)
    act12(source)
    unpacked(source, clips)
    with zipfile.ZipFile(source / "texts.zip", "w") as archive:
        for file in sorted((source / "texts").iterdir()):
            archive.write(file, f"texts/{file.name}")
        archive.writestr("texts/../../escaped.txt", "x")
        archive.writestr("__MACOSX/texts/000000.txt", b"\xff")
    shutil.rmtree(source / "texts")
    convert_folder(source, target)
    assert len(list((target / "texts").iterdir())) == 10
    assert len(clips_of(target)) == 10
    assert not (tmp_path / "escaped.txt").exists()


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


def test_humanml3d_itself_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "new_joint_vecs").mkdir()
    assert convert_folder(tmp_path, tmp_path / "out").folder == tmp_path
    assert not (tmp_path / "out").exists()


def test_parameters_face_the_way_amass_does() -> None:
    """Z up: the head is above the feet along Z after forward kinematics."""
    joints = joints_of(*parameters(MOTIONS[0]))
    assert (joints[:, 15, 2] - joints[:, 7, 2]).min() > 1.0
