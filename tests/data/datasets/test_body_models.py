"""A user's own SMPL-H and SMPL-X files: exact joints of a subject's shape, and what is no such file."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amass_folder import MOTIONS, entry, unpacked
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from test_motionx_parameters import read, write_motionx
from tiny_amass import Recorded, npz_bytes, write_repository
from tiny_body_model import arrays, write_model

from hmu_tasks.data.datasets.amass.motion import entry_joints
from hmu_tasks.data.datasets.amass.writer import convert_folder
from hmu_tasks.data.datasets.smpl.joints import BODY, joints_of
from hmu_tasks.data.datasets.smpl.models import models_in, read_model
from hmu_tasks.data.motion.features import from_joints
from hmu_tasks.data.motion.skeleton import JOINT_COUNT, PARENTS
from hmu_tasks.runtime.errors import DataError

BETAS = np.random.default_rng(5).normal(size=16)


def by_skinning(
    model: dict[str, Any], betas: NDArray[Any], turns: NDArray[Any], path: NDArray[Any]
) -> NDArray[np.float64]:
    """Joints by 4 x 4 matrices along the model's own tree, all joints of the model, as body models are posed."""
    shaped = model["v_template"] + model["shapedirs"][:, :, : len(betas)] @ betas
    rest = model["J_regressor"] @ shaped
    tree = model["kintree_table"][0].astype(np.int64)
    found = np.zeros((len(turns), JOINT_COUNT, 3))
    for frame, angles in enumerate(turns[:, : 3 * JOINT_COUNT].reshape(len(turns), -1, 3)):
        world: list[NDArray[np.float64]] = []
        for joint in range(JOINT_COUNT):
            local = np.eye(4)
            local[:3, :3] = Rotation.from_rotvec(angles[joint]).as_matrix()
            local[:3, 3] = rest[joint] - (rest[tree[joint]] if joint else 0)
            world.append(local if joint == 0 else world[tree[joint]] @ local)
            found[frame, joint] = world[joint][:3, 3] + path[frame]
    return found


@pytest.mark.parametrize("kind", ["SMPL-H", "SMPL-X"])
def test_joints_are_those_of_the_posed_model(tmp_path: Path, kind: str) -> None:
    content = write_model(tmp_path / "model_MALE.npz", kind)
    rng = np.random.default_rng(1)
    turns, path = rng.normal(size=(4, 66)), rng.normal(size=(4, 3))
    model = read_model(tmp_path / "model_MALE.npz")
    assert model is not None
    assert (model.kind, model.gender) == (kind, "male")
    found = joints_of(turns, path, offsets=model.offsets(BETAS))
    np.testing.assert_allclose(found, by_skinning(content, BETAS[:10], turns, path), atol=1e-9)
    by_frame = joints_of(turns, path, offsets=model.offsets(np.tile(BETAS, (4, 1))))
    np.testing.assert_array_equal(by_frame, found)


@pytest.mark.parametrize("kind", ["SMPL-H", "SMPL-X"])
def test_joints_are_those_of_the_package_smplx(tmp_path: Path, kind: str) -> None:
    """smplx is no dependency: its licence excludes commercial use, and it unpickles what it reads."""
    lbs = pytest.importorskip("smplx.lbs", reason="the package smplx is not installed")
    from torch import from_numpy, long

    content = write_model(tmp_path / "model_FEMALE.npz", kind)
    rng = np.random.default_rng(2)
    turns, path = rng.normal(size=(3, 66)), rng.normal(size=(3, 3))
    joints = len(content["J_regressor"])
    pose = np.zeros((3, 3 * joints))
    pose[:, :66] = turns
    tree = from_numpy(content["kintree_table"][0].astype(np.int64)).to(long)
    tree[0] = -1
    _, posed = lbs.lbs(
        from_numpy(np.tile(BETAS[:10], (3, 1))),
        from_numpy(pose),
        from_numpy(content["v_template"]),
        from_numpy(content["shapedirs"][:, :, :10]),
        from_numpy(content["posedirs"].reshape(-1, content["posedirs"].shape[-1]).T),
        from_numpy(content["J_regressor"]),
        tree,
        from_numpy(content["weights"]),
    )
    want = posed[:, :22].numpy() + path[:, None]
    model = read_model(tmp_path / "model_FEMALE.npz")
    assert model is not None
    # smplx adds 1e-8 to every angle.
    np.testing.assert_allclose(joints_of(turns, path, offsets=model.offsets(BETAS)), want, atol=1e-6)


def models(folder: Path) -> Any:
    return models_in([folder / "body_models"], folder)


@pytest.mark.parametrize("stageii", [False, True])
def test_a_motion_gets_its_own_kind_and_gender(tmp_path: Path, stageii: bool) -> None:
    place = tmp_path / "body_models"
    for number, (kind, name) in enumerate(
        [
            ("SMPL-H", "smplh/male/model.npz"),
            ("SMPL-H", "smplh/female/model.npz"),
            ("SMPL-X", "SMPLX_FEMALE.npz"),
        ]
    ):
        write_model(place / name, kind, seed=number)
    write_model(place / "dmpls/male/model.npz", v_template=None, eigvec=np.zeros((300, 3, 8)))
    found = models(tmp_path)
    assert [(model.kind, model.gender) for model in found.found] == [
        ("SMPL-H", "female"),
        ("SMPL-H", "male"),
        ("SMPL-X", "female"),
    ]
    motion = Recorded("KIT/3/kick", MOTIONS[0], fps=100, stageii=stageii)
    others = {"surface_model_type": "smplx"} if stageii else {}
    for gender in ("female", b"female"):
        content = npz_bytes(motion, betas=BETAS, gender=np.array(gender), **others)
        joints = entry_joints(io.BytesIO(content), entry(end=motion.end), found)
        mean = entry_joints(io.BytesIO(content), entry(end=motion.end))
        model = found.of("SMPL-X" if stageii else "SMPL-H", "female")
        bones = joints[:, 1:] - joints[:, list(PARENTS[1:])]
        want = np.linalg.norm(model.offsets(BETAS)[1:], axis=-1)
        np.testing.assert_allclose(np.linalg.norm(bones, axis=-1), np.tile(want, (len(bones), 1)), atol=1e-9)
        assert np.abs(joints - mean).max() > 0.01


def test_conversion_uses_them_says_so_and_notices_a_change(tmp_path: Path) -> None:
    source, target = tmp_path / "amass", tmp_path / "out"
    clips: dict[str, Recorded | str] = {
        "000000": Recorded("KIT/3/kick", MOTIONS[0]),
        "000001": Recorded("CMU/01/01_01", MOTIONS[1]),
    }
    write_repository(source / "HumanML3D", clips, {"train": clips, "val": [], "test": []})
    unpacked(source, clips)
    mean = np.load(convert_folder(source, target).folder / "new_joints" / "000000.npy")
    assert "mean SMPL body" in json.loads((target / "amass.json").read_text())["assumed"]["body"]
    file = source / "HumanML3D" / "body_models" / "smplh" / "female" / "model.npz"
    for seed in (1, 2):
        write_model(file, seed=seed)
        convert_folder(source, target)
        found = np.load(target / "new_joints" / "000000.npy")
        want = entry_joints(
            io.BytesIO(npz_bytes(clips["000000"])), entry(end=10_000), models(source / "HumanML3D")
        )
        np.testing.assert_allclose(
            np.load(target / "new_joint_vecs" / "000000.npy"), from_joints(want, offsets=BODY), atol=1e-6
        )
        assert np.abs(found - mean).max() > 1e-4
    body = json.loads((target / "amass.json").read_text())["assumed"]["body"]
    assert body == {"models": [{"model": "SMPL-H female", "file": "model.npz"}], "betas": 10}


def test_a_model_that_is_missing_is_named_with_the_motion(tmp_path: Path) -> None:
    clips: dict[str, Recorded | str] = {"000000": Recorded("KIT/3/kick", MOTIONS[0])}
    write_repository(tmp_path / "amass", clips, {"train": clips})
    unpacked(tmp_path / "amass", clips)
    write_model(tmp_path / "amass" / "body_models" / "smplh" / "male" / "model.npz")
    with pytest.raises(
        DataError, match=r"kick_poses\.npz was fitted with the female SMPL-H model.*SMPL-H male"
    ):
        convert_folder(tmp_path / "amass", tmp_path / "out")
    (tmp_path / "amass/body_models/smplh/male/model.npz").unlink()
    assert convert_folder(tmp_path / "amass", tmp_path / "out").notes == ()


def test_motionx_takes_the_neutral_model_of_smplx(tmp_path: Path) -> None:
    write_motionx(tmp_path)
    mean, _ = read(tmp_path)
    write_model(tmp_path / "body_models" / "SMPLX_NEUTRAL.npz", "SMPL-X", betas=400)
    found, skipped = read(tmp_path)
    assert skipped == []
    (model,) = models(tmp_path).found
    for name, clip in found.items():
        array = np.load(tmp_path / "motion_data/smplx_322" / f"{name}.npy").astype(np.float64)
        offsets = model.offsets(array[:, 312:322])
        joints = joints_of(array, array[:, 309:312], offsets=offsets)
        np.testing.assert_allclose(clip.features, from_joints(joints, offsets=BODY), atol=1e-5)
        assert np.abs(clip.features - mean[name].features).max() > 1e-3
    (tmp_path / "body_models" / "SMPLX_NEUTRAL.npz").rename(tmp_path / "body_models" / "SMPLX_MALE.npz")
    with pytest.raises(DataError, match="Motion-X was fitted with the neutral SMPL-X model"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        (
            "MALE.npz",
            {"v_template": None},
            "holds no array 'v_template'; it has .* expected a model file of SMPL-H",
        ),
        ("MALE.npz", {"shapedirs": np.zeros((300, 3, 4))}, r"shapedirs of shape \(300, 3, 4\)"),
        ("MALE.npz", {"J_regressor": np.zeros((30, 300))}, r"J_regressor of shape \(30, 300\)"),
        ("MALE.npz", {"J_regressor": np.zeros((52, 9))}, r"J_regressor of shape \(52, 9\)"),
        ("MALE.npz", {"v_template": np.full((300, 3), np.nan)}, "NaN"),
        ("MALE.npz", {"v_template": np.array([None])}, "is damaged|holds values of type object"),
        ("MALE.npz", {"kintree_table": np.zeros((2, 52), np.uint32)}, "other joints than SMPL's first 22"),
        ("model.npz", {}, "has no gender in its name; rename it to such as SMPLH_MALE.npz"),
        ("MALE.npz", b"PK", "is damaged"),
        ("MALE.npz", b"", "is damaged"),
        ("MALE.npz", arrays("SMPL"), "is a model of SMPL, with which neither"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, name: str, content: Any, match: str) -> None:
    file = tmp_path / "body_models" / name
    if isinstance(content, bytes):
        file.parent.mkdir()
        file.write_bytes(content)
    else:
        write_model(file, **content)
    with pytest.raises(DataError, match=match) as refusal:
        models(tmp_path)
    assert str(file) in str(refusal.value)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    class Program:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    place = tmp_path / "body_models"
    place.mkdir()
    (place / "SMPLH_MALE.pkl").write_bytes(pickle.dumps(Program()))
    with pytest.raises(DataError, match=r"is a pickle.*take the .npz file"):
        models(tmp_path)
    write_model(place / "SMPLH_MALE.npz", part2num=np.array(Program(), dtype=object))
    assert len(models(tmp_path).found) == 1
    assert not (tmp_path / "ran").exists()


def test_one_model_twice_and_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_model(raw / "body_models" / "SMPLH_MALE.npz")
    write_model(raw / "body_models" / "smplh" / "male" / "model.npz", seed=1)
    with pytest.raises(DataError, match="are both the male SMPL-H model; keep one"):
        models(raw)
    (raw / "body_models" / "smplh" / "male" / "model.npz").unlink()
    write_model(tmp_path / "elsewhere.npz")
    (raw / "body_models" / "SMPLX_MALE.npz").symlink_to(tmp_path / "elsewhere.npz")
    with pytest.raises(DataError, match="out of"):
        models(raw)
