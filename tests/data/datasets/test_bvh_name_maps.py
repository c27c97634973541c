"""Skeletons of the trade under the names and prefixes that their exporters write, and the proposal of a name map."""

from pathlib import Path

import numpy as np
import pytest
from tiny_bvh import bvh_text, write_bvh
from typer.testing import CliRunner

from hmu_tasks.__main__ import app
from hmu_tasks.data.datasets.bvh import name_maps
from hmu_tasks.data.datasets.bvh.motion import convert
from hmu_tasks.data.datasets.bvh.proposal import propose
from hmu_tasks.data.datasets.bvh.reader import read
from hmu_tasks.data.motion.skeleton import JOINTS

MAPS = name_maps.shipped()
WHOLE = [name for name, one in MAPS.items() if len({p.first for p in one.places}) == len(JOINTS)]


def test_shipped_maps() -> None:
    wanted = {"rokoko", "mixamo", "xsens", "motive", "plug_in_gait", "biped", "kinect20", "cmu_asf"}
    assert wanted <= set(MAPS)


@pytest.mark.parametrize("prefix", ["", "mixamorig:", "Character1_", "Bip01 ", "actor|", "A.b-c "])
@pytest.mark.parametrize("name", WHOLE)
def test_a_file_in_the_names_of_a_map_is_read_with_it(tmp_path: Path, name: str, prefix: str) -> None:
    called = dict(zip(JOINTS, (place.first for place in MAPS[name].places), strict=True))
    file = write_bvh(tmp_path / "a.bvh", 20, names=called, prefix=prefix)
    plain = write_bvh(tmp_path / "b.bvh", 20)
    found = convert(read(file))
    assert found.skeleton == name
    np.testing.assert_allclose(found.joints, convert(read(plain)).joints, atol=1e-6)


def test_biped_with_its_own_root_name(tmp_path: Path) -> None:
    called = dict(zip(JOINTS, (f"Bip001 {place.first}" for place in MAPS["biped"].places), strict=True))
    called["pelvis"] = "Bip001_Pelvis"
    text = bvh_text(20, names=called).replace("ROOT Bip001_Pelvis", "ROOT Bip001_Pelvis")
    (tmp_path / "a.bvh").write_text(text)
    assert convert(read(tmp_path / "a.bvh")).skeleton == "biped"


def test_upper_case_and_separators_make_no_difference(tmp_path: Path) -> None:
    called = {joint: f"{joint.upper().replace('_', '-')}" for joint in JOINTS}
    assert convert(read(write_bvh(tmp_path / "a.bvh", 20, names=called))).skeleton == "smpl"


def test_every_map_reads_its_own_needs_and_places_lie_in_order() -> None:
    for name, one in MAPS.items():
        assert one.missing(one.needed) == ()
        assert name_maps.choose("auto", one.needed).name == name


@pytest.mark.parametrize("name", MAPS)
def test_the_proposal_for_a_known_skeleton_is_its_map(name: str, tmp_path: Path) -> None:
    names = tuple(f"rig:{joint}" for joint in MAPS[name].needed)
    found = propose(names)
    assert (found.name, found.complete) == (name, True)
    file = tmp_path / "own.yaml"
    file.write_text(found.as_yaml(names))
    again = name_maps.load(file)
    assert [place.at for place in again.places] == [place.at for place in MAPS[name].places]
    assert again.missing(names) == ()


def test_the_proposal_for_a_mixture_can_be_used(tmp_path: Path) -> None:
    """Names of several traditions, no middle spine joint: what can be found is found, by name or between others."""
    called = dict(zip(JOINTS, (place.first for place in MAPS["mixamo"].places), strict=True))
    called |= {
        "left_knee": "LeftShin",
        "right_knee": "RightShin",
        "left_foot": "LeftToe",
        "right_foot": "RightToe",
    }
    called |= {"left_collar": "Collar of the left", "right_collar": "Collar of the right"}
    file = write_bvh(tmp_path / "mixed.bvh", 20, names=called)
    with pytest.raises(name_maps.DataError, match="hmu_tasks skeleton FILE"):
        convert(read(file))
    picture = tmp_path / "pose.png"
    done = CliRunner().invoke(app, ["skeleton", str(file), "--picture", str(picture)])
    assert done.exit_code == 0, done.output
    own = tmp_path / "own.yaml"
    own.write_text(done.stdout)
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = convert(read(file), skeleton=str(own)).joints
    plain = convert(read(write_bvh(tmp_path / "b.bvh", 20))).joints
    same = [j for j, joint in enumerate(JOINTS) if "collar" not in joint]
    np.testing.assert_allclose(found[:, same], plain[:, same], atol=1e-6)
    assert "between: [Spine2, LeftArm]" in done.stdout


def test_what_cannot_be_found_stands_in_comments(tmp_path: Path) -> None:
    called = {joint: f"bone{number}" for number, joint in enumerate(JOINTS)}
    file = write_bvh(tmp_path / "odd.bvh", 20, names=called)
    done = CliRunner().invoke(app, ["skeleton", str(file), "--picture", str(tmp_path / "p.png")])
    assert done.exit_code == 0, done.output
    assert done.stdout.count(": ?") == 22
    assert "bone21" in done.stdout
