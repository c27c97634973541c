import io

import numpy as np
import pytest
from fake_report import make_joints
from PIL import Image

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.viewer import export, render
from hmu_tasks.viewer.render import Panel


def panels(frames: int = 40) -> list[Panel]:
    return [
        Panel(make_joints(frames), "original"),
        Panel(make_joints(frames - 10, kick=False), "LCR, K = 16"),
    ]


def test_gif_has_all_frames_at_twenty_per_second_and_loops():
    image = Image.open(io.BytesIO(render.animation(panels(), title="a person kicks")))
    assert image.n_frames == 40
    assert image.info["loop"] == 0
    durations = []
    for frame in range(image.n_frames):
        image.seek(frame)
        durations.append(image.info["duration"])
    assert set(durations) == {50}


def test_same_motion_same_bytes():
    assert render.animation(panels(), title="a kick") == render.animation(panels(), title="a kick")
    assert render.contact_sheet(panels(), title="a kick") == render.contact_sheet(panels(), title="a kick")


def test_a_still_motion_keeps_its_duration():
    still = np.repeat(make_joints(1), 30, axis=0)
    image = Image.open(io.BytesIO(render.animation([Panel(still, "still")], title="stand")))
    assert image.info["duration"] == 30 * 50


def test_large_animations_are_drawn_smaller():
    full = render.animation(panels(), title="a kick")
    small = render.animation(panels(), title="a kick", max_bytes=len(full) // 2)
    assert len(small) <= len(full) // 2
    assert Image.open(io.BytesIO(small)).width < Image.open(io.BytesIO(full)).width


def test_a_long_travelling_motion_stays_under_the_limit():
    joints = make_joints(196)
    joints[..., 2] += np.linspace(0, 6, 196)[:, None]
    data = render.animation(
        [Panel(joints, name) for name in ("original", "LCR", "D_r")], title="walk far " * 20
    )
    assert len(data) <= 400_000


def test_figure_moves_and_both_sides_have_their_colour():
    image = Image.open(io.BytesIO(render.animation(panels(), title="a kick")))
    frames = []
    for index in (0, 20):
        image.seek(index)
        frames.append(np.asarray(image.convert("RGB")))
    assert (frames[0] != frames[1]).any()
    for shade in (render.LEFT_COLOUR, render.RIGHT_COLOUR, render.INK):
        assert (frames[1] == shade).all(axis=-1).any()


def test_camera_keeps_left_on_the_viewer_s_right():
    # The figure faces +Z, towards the camera: its left hand (+X) is seen to the right.
    left = render.Camera(yaw=0).project(np.array([1.0, 0.0, 0.0]))
    nearer = render.Camera(yaw=0, pitch=0).project(np.array([0.0, 0.0, 1.0]))
    assert left[0] == pytest.approx(1.0)
    assert nearer[2] == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(0, 22, 3), (5, 20, 3), (22, 3)])
def test_malformed_joints_are_named(shape):
    with pytest.raises(DataError, match="my motion"):
        render.animation([Panel(np.zeros(shape), "my motion")], title="x")
    bad = make_joints(5)
    bad[2, 3, 0] = np.nan
    with pytest.raises(DataError, match="my motion"):
        render.contact_sheet([Panel(bad, "my motion")], title="x")


def test_npz_reads_back_and_has_the_same_bytes():
    motions = {"b": make_joints(9), "a": make_joints(4)}
    data = export.npz(motions)
    assert data == export.npz(dict(reversed(motions.items())))
    with np.load(io.BytesIO(data)) as found:
        assert sorted(found) == ["a", "b"]
        np.testing.assert_array_equal(found["b"], motions["b"])
