"""Converting recordings to canonical joints: name maps, units, axes, frame rate, T-pose; real files of two sources."""

import tarfile
from dataclasses import replace

import numpy as np
import pytest
from tiny_bvh import OFFSETS, bvh_text, offset_of, wave, write_bvh

from hmu_tasks.data.datasets.bvh import name_maps
from hmu_tasks.data.datasets.bvh.motion import convert, resample, starts_with_t_pose
from hmu_tasks.data.datasets.bvh.reader import read
from hmu_tasks.data.datasets.smpl.joints import BODY
from hmu_tasks.data.motion.features import from_joints, mirror_joints, to_joints
from hmu_tasks.data.motion.recovery import root_path
from hmu_tasks.data.motion.skeleton import JOINTS, PARENTS
from hmu_tasks.runtime.errors import ConfigError, DataError

INDEX = {name: number for number, name in enumerate(JOINTS)}
MIXAMO = dict(zip(JOINTS, (place.first for place in name_maps.shipped()["mixamo"].places), strict=True))
SHORT = dict(zip(JOINTS, (place.first for place in name_maps.shipped()["smpl_short"].places), strict=True))


def joints_of(file, **knobs):
    """Canonical joints, retargeted and placed as for the features."""
    return to_joints(from_joints(convert(read(file), **knobs).joints, offsets=BODY))


def part(joints, name):
    return joints[:, INDEX[name]]


def drift(joints):
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, list(PARENTS[1:])], axis=-1)
    return float(np.ptp(lengths / lengths.mean(axis=0), axis=0).max())


def swings(values, least=0.05):
    """Number of times a coordinate reverses direction by at least `least` metres."""
    turns, last, way = 0, values[0], 0
    for value in values[1:]:
        if way >= 0 and value < last - least:
            turns, way, last = turns + 1, -1, value
        elif way <= 0 and value > last + least:
            turns, way, last = turns + 1, 1, value
        elif (way > 0 and value > last) or (way < 0 and value < last):
            last = value
    return turns


@pytest.mark.parametrize(
    ("names", "prefix", "chosen"),
    [({}, "", "smpl"), (MIXAMO, "mixamorig:", "mixamo"), (MIXAMO, "", "mixamo"), (SHORT, "", "smpl_short")],
)
def test_synthetic_bodies_are_recovered(tmp_path, names, prefix, chosen):
    file = write_bvh(tmp_path / "a.bvh", 90, names=names, prefix=prefix, turns=wave(90))
    motion = convert(read(file))
    assert (motion.skeleton, motion.metres, motion.up, motion.t_pose) == (chosen, 0.01, "y", False)
    assert motion.leg == pytest.approx(0.78, abs=0.01)
    for name in ("left_knee", "right_foot"):
        parent = JOINTS[PARENTS[INDEX[name]]]
        bone = part(motion.joints, name) - part(motion.joints, parent)
        np.testing.assert_allclose(bone, np.broadcast_to(offset_of(name), bone.shape), atol=1e-5)
    joints = joints_of(file)
    assert drift(joints) < 1e-4
    assert (part(joints, "left_wrist")[:, 0] > 0.1).all()  # on +X when facing +Z
    assert (part(joints, "right_wrist")[:, 0] < -0.1).all()
    assert (part(joints, "right_wrist") - part(joints, "right_shoulder"))[:, 1].min() > 0
    assert swings(part(joints, "right_wrist")[:, 0]) >= 8
    assert swings(part(joints, "left_wrist")[:, 0]) == 0


@pytest.mark.parametrize(
    ("metres", "given"), [(1.0, "m"), (0.01, "cm"), (0.0254, "inch"), (0.056444, 0.056444)]
)
def test_units_are_found_or_given(tmp_path, metres, given):
    recording = read(write_bvh(tmp_path / "a.bvh", 20, metres=metres, turns=wave(20)))
    expected = convert(recording, units=given)
    assert expected.metres == metres
    assert expected.leg == pytest.approx(0.78, abs=0.01)
    if isinstance(given, str):
        np.testing.assert_array_equal(convert(recording).joints, expected.joints)
    else:
        with pytest.raises(DataError, match=r"legs 13\.8\d units long, .* set ingest.bvh.units"):
            convert(recording)


def test_z_up_is_converted_to_y_up(tmp_path):
    y = convert(read(write_bvh(tmp_path / "y.bvh", 30, turns=wave(30))))
    z = convert(read(write_bvh(tmp_path / "z.bvh", 30, turns=wave(30), z_up=True)))
    assert (y.up, z.up) == ("y", "z")
    np.testing.assert_allclose(z.joints, y.joints, atol=1e-5)


def test_the_up_axis_of_a_lying_body_is_ambiguous(tmp_path):
    lying = {"pelvis": [(90.0, 0.0, 0.0)] * 30}
    recording = read(write_bvh(tmp_path / "a.bvh", 30, turns=lying))
    with pytest.raises(DataError, match=r"upright along neither Y nor Z.*set ingest\.bvh\.up"):
        convert(recording)
    assert convert(recording, up="y").up == "y"


def test_a_frame_rate_is_interpolated_and_bones_keep_their_length(tmp_path):
    swing = [(-80 + 40 * f, 0.0, 0.0) for f in range(5)]
    path = [(0.0, 0.0, 0.1 * f) for f in range(5)]
    recording = read(write_bvh(tmp_path / "a.bvh", 5, seconds=0.1, turns={"left_shoulder": swing}, path=path))
    sampled = resample(recording)
    assert len(sampled.positions) == 9
    assert sampled.seconds == 0.05
    world = sampled.world() / 100
    arm = world[:, sampled.names.index("left_elbow")] - world[:, sampled.names.index("left_shoulder")]
    degrees = np.degrees(np.arctan2(arm[:, 1], arm[:, 0]))
    np.testing.assert_allclose(degrees, np.linspace(-80, 80, 9), atol=1e-3)  # rotations, not positions
    np.testing.assert_allclose(np.linalg.norm(arm, axis=-1), 0.26, atol=1e-6)
    np.testing.assert_allclose(world[:, 0, 2], np.linspace(0, 0.4, 9), atol=1e-6)


@pytest.mark.parametrize(
    ("frames", "seconds", "count"), [(61, 1 / 30, 41), (31, 0.05, 31), (121, 0.008333, 21)]
)
def test_a_second_has_twenty_frames(tmp_path, frames, seconds, count):
    sampled = resample(read(write_bvh(tmp_path / "a.bvh", frames, seconds=seconds)))
    assert len(sampled.positions) == count


def test_only_a_t_pose_before_a_jump_is_dropped(tmp_path):
    arms = (("left_shoulder", -80.0), ("right_shoulder", 80.0))
    hanging = {arm: [(0.0, 0.0, 0.0)] + [(angle, 0.0, 0.0)] * 29 for arm, angle in arms}
    first = read(write_bvh(tmp_path / "t.bvh", 30, turns=hanging))
    motion = convert(first)
    assert motion.t_pose
    assert len(motion.joints) == 19  # (29 - 1) / 30 seconds
    later = replace(first, rotations=np.roll(first.rotations, 5, axis=0))
    assert not convert(later).t_pose
    spread = read(write_bvh(tmp_path / "s.bvh", 30, turns={s: [(0.0, 0.0, 0.0)] * 30 for s in hanging}))
    assert not starts_with_t_pose(convert(spread).joints)  # a T-pose throughout is the motion itself


def test_swapped_sides_are_detected(tmp_path):
    names = {joint: joint.replace("left", "RIGHT").replace("right", "left").lower() for joint in JOINTS}
    names |= {joint: joint.replace("left", "right") for joint in OFFSETS if joint.startswith("left")}
    names |= {joint: joint.replace("right", "left") for joint in JOINTS if joint.startswith("right")}
    with pytest.raises(DataError, match="left and right are swapped"):
        convert(read(write_bvh(tmp_path / "a.bvh", 30, names=names)))


def test_a_custom_name_map(tmp_path):
    names = {joint: f"bone {number}" for number, joint in enumerate(JOINTS)}
    file = write_bvh(tmp_path / "a.bvh", 30, names=names)
    with pytest.raises(
        DataError, match=r"none of the name maps \(bandai_namco, .* is missing .*The file has bone 0, bone 1"
    ):
        convert(read(file))
    own = tmp_path / "own.yaml"
    places = [f"  {joint}: {name}" for joint, name in names.items() if joint != "spine2"]
    own.write_text("\n".join(["joints:", *places, "  spine2: {between: [bone 3, bone 9], at: 0.5}"]))
    motion = convert(read(file), skeleton=str(own))
    assert motion.skeleton == "own"
    middle = (part(motion.joints, "spine1") + part(motion.joints, "spine3")) / 2
    np.testing.assert_allclose(part(motion.joints, "spine2"), middle)
    with pytest.raises(DataError, match=r"is missing the joints Hips, LeftUpLeg.* of the name map mixamo"):
        convert(read(file), skeleton="mixamo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("joints: {pelvis: Hips}", "missing: left_hip, right_hip"),
        ("joints: [a]", "must hold one key, joints"),
        ("up: z", "must hold one key, joints"),
        ("joints: {pelvis: ", "is not valid YAML"),
        ("\n".join(["joints:", *(f"  {j}: {j}" for j in JOINTS), "  tail: t"]), "unknown: tail"),
        ("\n".join(["joints:", *(f"  {j}: 3" for j in JOINTS)]), "joints.pelvis must be a joint's name"),
        ("\n".join(["joints:", *(f"  {j}: {{between: [a, b], at: 2}}" for j in JOINTS)]), "at: 0 to 1"),
    ],
)
def test_a_faulty_map_is_explained(tmp_path, text, message):
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(ConfigError, match=message):
        name_maps.named(str(own))


def test_unknown_maps_are_named():
    with pytest.raises(
        ConfigError, match="choose auto, bandai_namco, biped, cmu, cmu_asf, cmu_cc3, kinect20, mixamo"
    ):
        name_maps.named("poser")
    with pytest.raises(ConfigError, match=r"is missing; ingest\.bvh\.skeleton"):
        name_maps.named("absent.yaml")


def test_the_fuller_map_wins():
    """If several maps fit, as Mixamo's and CMU's share names, the one that uses most joints is chosen."""
    maps = name_maps.shipped()
    for name, one in maps.items():
        assert name_maps.choose("auto", one.needed).name == name


WANTED = {
    "bandai_namco": (
        "dataset-1_run_happy_001",
        "dataset-2_raise-up-left-hand_normal_068",
        "dataset-2_walk-turn-left_normal_017",
        "dataset-2_walk_normal_010",
        "dataset-2_wave-right-hand_normal_010",
    ),
    "cmu_bvh": ("002_01", "007_03"),
}


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """Real motion capture files by name."""
    folder = tmp_path_factory.mktemp("mocap")
    found = {}
    for archive, names in WANTED.items():
        with tarfile.open(shared / "data" / "mocap" / f"{archive}_dev.tar.xz") as packed:
            left = set(names)
            for member in packed:
                name = member.name.rpartition("/")[2].removesuffix(".bvh")
                if name in left:
                    left.remove(name)
                    found[name] = folder / f"{name}.bvh"
                    content = packed.extractfile(member)
                    assert content is not None
                    found[name].write_bytes(content.read())
                if not left:
                    break
    return found


def test_real_files_stand_on_the_floor_and_keep_their_bones(real):
    assert len(real) == 7
    for name, file in real.items():
        motion = convert(read(file))
        joints = joints_of(file)
        assert motion.metres == 0.01, name
        assert motion.skeleton == ("cmu_cc3" if name[0] == "0" else "bandai_namco"), name
        assert motion.t_pose == (name == "007_03"), name
        assert drift(joints) < 1e-4, name
        feet = joints[:, [INDEX[f"{s}_{p}"] for s in ("left", "right") for p in ("ankle", "foot")], 1]
        assert feet.min() == pytest.approx(0, abs=0.02), name
        assert feet.min(axis=1).max() < (0.15 if "run" in name else 0.08), name
        assert (part(joints, "head")[:, 1] > 1.35).all(), name
        left, right = part(joints, "left_wrist"), part(joints, "right_wrist")
        assert left[0, 0] > right[0, 0], name
        forward = np.diff(part(joints, "pelvis"), axis=0)[:5].sum(axis=0)
        if "walk" in name or "run" in name:
            assert forward[2] > abs(forward[0]), name  # moves in the facing direction
        for side in ("left", "right"):  # knees bend forward, in front of the line from hip to ankle
            across = part(joints, "left_hip") - part(joints, "right_hip")
            facing = np.cross(across, (0, 1, 0))
            middle = (part(joints, f"{side}_hip") + part(joints, f"{side}_ankle")) / 2
            bend = ((part(joints, f"{side}_knee") - middle) * facing).sum(axis=-1)
            assert (bend > -0.004).all(), name


@pytest.mark.parametrize(
    ("name", "slowest", "fastest"),
    [
        ("dataset-2_walk_normal_010", 0.8, 1.9),
        ("dataset-1_run_happy_001", 1.6, 6.0),
        ("002_01", 0.8, 1.9),
        ("007_03", 0.8, 1.9),
        ("dataset-2_raise-up-left-hand_normal_068", 0.0, 0.2),
    ],
)
def test_real_speeds_are_plausible(real, name, slowest, fastest):
    joints = joints_of(real[name])
    speed = np.linalg.norm(np.diff(part(joints, "pelvis")[:, [0, 2]], axis=0), axis=-1).mean() * 20
    assert slowest <= speed <= fastest


def test_a_waving_clip_waves_with_the_hand_that_its_name_says(real):
    joints = joints_of(real["dataset-2_wave-right-hand_normal_010"])
    middle = joints[len(joints) // 4 : -len(joints) // 4]
    right, left = part(middle, "right_wrist"), part(middle, "left_wrist")
    assert (right[:, 1] > part(middle, "right_shoulder")[:, 1]).mean() > 0.8
    assert swings(right[:, 0]) >= 4
    assert (left[:, 1] < part(middle, "left_shoulder")[:, 1]).all()
    twin = mirror_joints(joints)
    assert (part(twin, "left_wrist") == part(joints, "right_wrist") * (-1, 1, 1)).all()


def test_left_is_left(real):
    raised = joints_of(real["dataset-2_raise-up-left-hand_normal_068"])
    assert part(raised, "left_wrist")[:, 1].max() > part(raised, "head")[:, 1].mean()
    assert part(raised, "right_wrist")[:, 1].max() < part(raised, "right_shoulder")[:, 1].min()
    turned = from_joints(convert(read(real["dataset-2_walk-turn-left_normal_017"])).joints, offsets=BODY)
    path, _ = root_path(turned)
    assert path[-1, 0] > 0.3  # ends to the left of its start
    assert path[-1, 0] > path[-10, 0]


def test_the_text_of_a_made_body_is_stable():
    assert bvh_text(3) == bvh_text(3)
