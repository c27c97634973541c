"""AMASS as downloaded becomes what HumanML3D's scripts leave, however it lies there and also after a kill."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from amass_folder import MOTIONS, act12, clips_of, close, entry, unpacked, world
from tiny_amass import Recorded, npz_bytes, parameters, write_archive, write_repository

from hmu_tasks.data.datasets.amass import writer
from hmu_tasks.data.datasets.amass.index import IndexRow
from hmu_tasks.data.datasets.amass.motion import entry_joints
from hmu_tasks.data.datasets.amass.names import CUTS, key_of, sub_dataset
from hmu_tasks.data.datasets.amass.writer import convert_folder
from hmu_tasks.data.datasets.smpl.joints import BODY, joints_of
from hmu_tasks.data.datasets.synthetic.writer import sample_clip
from hmu_tasks.data.motion.features import from_joints, mirror_joints, to_joints


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


def test_humanml3d_itself_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "new_joint_vecs").mkdir()
    assert convert_folder(tmp_path, tmp_path / "out").folder == tmp_path
    assert not (tmp_path / "out").exists()


def test_parameters_face_the_way_amass_does() -> None:
    """Z up: the head is above the feet along Z after forward kinematics."""
    joints = joints_of(*parameters(MOTIONS[0]))
    assert (joints[:, 15, 2] - joints[:, 7, 2]).min() > 1.0
