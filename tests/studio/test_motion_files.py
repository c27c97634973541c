"""Files of motions read back: arrays, BVH, and films with the right number of frames."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.studio import files
from hmu_tasks.studio.motions import Curve, ScoredMotion
from hmu_tasks.studio.sources import ModelSource


def motion(name: str, frames: int = 24, joints: int = 22) -> ScoredMotion:
    rng = np.random.default_rng(len(name))
    points = np.cumsum(rng.normal(scale=0.01, size=(frames, joints, 3)), axis=0) + rng.uniform(
        0, 1.7, (1, joints, 3)
    )
    curve = Curve("convolution", np.linspace(0, 0.9, frames), 0.6)
    return ScoredMotion(
        ModelSource(name, name.upper(), Path(name), name), points.astype(np.float32), 20.0, (curve,)
    )


def test_every_file_is_written_and_reads_back(tmp_path: Path) -> None:
    one, two = motion("uce"), motion("original", frames=16)
    written = files.write_files([one, two], "a man kicks", tmp_path / "clip")
    assert [path.name for path in written] == [
        "clip.npz",
        "clip.gif",
        "clip.mp4",
        "clip-uce.bvh",
        "clip-uce.glb",
        "clip-original.bvh",
        "clip-original.glb",
    ]
    with np.load(tmp_path / "clip.npz") as arrays:
        np.testing.assert_array_equal(arrays["uce"], one.joints)
        np.testing.assert_allclose(arrays["original-score"], np.linspace(0, 0.9, 16), atol=1e-6)
    assert "Frames: 24" in (tmp_path / "clip-uce.bvh").read_text(encoding="utf-8")
    with Image.open(tmp_path / "clip.gif") as image:
        assert image.n_frames > 12
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)


def test_a_film_has_the_frames_and_the_rate_of_the_motion() -> None:
    one = motion("uce")
    data = files.mp4_bytes([one], "a man kicks")
    with av.open(io.BytesIO(data)) as film:
        (stream,) = film.streams.video
        assert stream.average_rate == 20
        assert stream.codec_context.name == "h264"
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    drawn = files.render.frames([files.render.Panel(one.joints, one.source.label)], title="a man kicks")
    assert len(shown) == len(drawn) == 24
    for picture, drawing in zip(
        shown, drawn, strict=True
    ):  # the encoder's bytes are not promised to be equal
        height, width, _ = picture.shape
        expected = np.asarray(drawing.convert("RGB"), dtype=float)[:height, :width]
        assert np.abs(picture - expected).mean() < 3


def test_a_rate_that_is_no_whole_number_is_kept() -> None:
    slow = ScoredMotion(motion("kit").source, motion("kit").joints, 12.5)
    with av.open(io.BytesIO(files.mp4_bytes([slow], "walk"))) as film:
        assert float(film.streams.video[0].average_rate) == pytest.approx(12.5)


def test_a_body_without_bvh_gets_the_other_files(tmp_path: Path) -> None:
    small = motion("kit", joints=21)
    with pytest.raises(DataError, match="GLB is written for 22 joints and this model has 21"):
        files.glb_bytes(small)
    with pytest.raises(DataError, match="22 joints and this model has 21"):
        files.bvh_bytes(small)
    written = files.write_files([small], "walk", tmp_path / "clip")
    assert {path.suffix for path in written} == {".npz", ".gif", ".mp4"}


@pytest.mark.parametrize(
    ("prompt", "name"), [("A man kicks, then bows!", "a-man-kicks-then-bows"), ("../..", "motion")]
)
def test_a_prompt_becomes_a_harmless_name(prompt: str, name: str) -> None:
    assert files.stem(prompt) == name
