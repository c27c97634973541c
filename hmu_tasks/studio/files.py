"""Motions as files for other programs: NPZ, BVH, GLB, GIF and MP4."""

import io
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from hmu_tasks.data.motion import glb_export
from hmu_tasks.data.motion.bvh_export import bvh_text
from hmu_tasks.data.motion.skeleton import JOINTS
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing
from hmu_tasks.studio.motions import ScoredMotion
from hmu_tasks.viewer import render
from hmu_tasks.viewer.export import npz

PANELS = 3  # motions that stand side by side in an animation
GIF_BYTES = 2_000_000


def write_files(motions: Sequence[ScoredMotion], prompt: str, target: Path) -> list[Path]:
    """Write the motions of one prompt beside each other and return the files.

    target: path without ending; `clip` gives clip.npz, clip.gif, clip.mp4, and one clip-<model>.bvh and .glb per motion
    of 22 joints. Every file is written whole or not at all.
    """
    found = {
        "npz": npz_bytes(motions),
        "gif": gif_bytes(motions, prompt),
        "mp4": mp4_bytes(motions, prompt),
    }
    for one in motions:
        if one.joints.shape[1] == len(JOINTS):
            found[f"{name_of(one)}.bvh"] = bvh_bytes(one)
            found[f"{name_of(one)}.glb"] = glb_bytes(one)
    written = []
    for ending, data in found.items():
        place = target.with_name(f"{target.name}{'-' if '.' in ending else '.'}{ending}")
        with replacing(place) as temporary:
            temporary.write_bytes(data)
        written.append(place)
    return written


def name_of(motion: ScoredMotion) -> str:
    """The motion's model as a part of a file's name."""
    return re.sub(r"[^\w-]", "_", motion.source.name)


def npz_bytes(motions: Sequence[ScoredMotion]) -> bytes:
    """Pack joints [F, J, 3] by model, and `<model>-score` [F] under the worse classifier where there is one."""
    arrays = {name_of(one): one.joints for one in motions}
    for one in motions:
        if one.curve is not None:
            arrays[f"{name_of(one)}-score"] = np.asarray(one.curve.scores, np.float32)
    return npz(arrays)


def bvh_bytes(motion: ScoredMotion) -> bytes:
    """Write a motion as BVH; DataError for a body of other than 22 joints."""
    _check_body(motion, "BVH")
    return bvh_text(motion.joints, fps=motion.fps).encode()


def glb_bytes(motion: ScoredMotion) -> bytes:
    """Write a motion as GLB, a stick body for Blender and web viewers; DataError for other than 22 joints."""
    _check_body(motion, "GLB")
    return glb_export.glb_bytes(motion.joints, fps=motion.fps, name=name_of(motion))


def _check_body(motion: ScoredMotion, kind: str) -> None:
    if motion.joints.shape[1] != len(JOINTS):
        raise DataError(
            f"{kind} is written for {len(JOINTS)} joints and this model has {motion.joints.shape[1]}; take the NPZ"
        )


def gif_bytes(motions: Sequence[ScoredMotion], prompt: str) -> bytes:
    """Animate up to three motions side by side as GIF."""
    return render.animation(_panels(motions), title=prompt, fps=motions[0].fps, max_bytes=GIF_BYTES)


def mp4_bytes(motions: Sequence[ScoredMotion], prompt: str) -> bytes:
    """Animate up to three motions side by side as MP4 (H.264, which browsers and editors play)."""
    import av

    frames = render.frames(_panels(motions), title=prompt)
    width, height = (side // 2 * 2 for side in frames[0].size)  # the colour format halves both
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(motions[0].fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "20", "threads": "1"}
        for frame in frames:
            picture = av.VideoFrame.from_image(frame.convert("RGB").crop((0, 0, width, height)))
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()


def png_bytes(motions: Sequence[ScoredMotion], prompt: str) -> bytes:
    """Draw poses of up to three motions in rows, as PNG."""
    return render.contact_sheet(_panels(motions), title=prompt, fps=motions[0].fps)


def _panels(motions: Sequence[ScoredMotion]) -> list[render.Panel]:
    return [render.Panel(one.joints, one.source.label) for one in motions[:PANELS]]


def stem(prompt: str) -> str:
    """A prompt as the beginning of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower())[:40].strip("-") or "motion"
