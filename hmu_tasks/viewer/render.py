"""Stick-figure animations of motions, drawn with Pillow: side-by-side GIFs and a still strip of poses."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.viewer.body import BODIES, body_of

Array = NDArray[np.floating]
Colour = tuple[int, int, int]

PAPER: Colour = (250, 250, 248)
FLOOR: Colour = (223, 226, 230)
TRACE: Colour = (165, 173, 182)
INK: Colour = (45, 51, 59)
LEFT_COLOUR: Colour = (0, 114, 178)
RIGHT_COLOUR: Colour = (213, 94, 0)

SUPERSAMPLE = 2  # drawn twice as large, then averaged: smooth edges


@dataclass(frozen=True)
class Panel:
    """One motion of an animation: joints [F, J, 3] in metres, Y up, and the words under it."""

    joints: Array
    caption: str


@dataclass(frozen=True)
class Camera:
    """A fixed orthographic three-quarter view: turned by `yaw`, looking down by `pitch` (degrees)."""

    yaw: float = 35.0
    pitch: float = 16.0

    def project(self, points: Array) -> Array:
        """Turn points [..., 3] into [..., 3]: right, up and depth (nearer is larger), in metres."""
        yaw, pitch = np.radians(self.yaw), np.radians(self.pitch)
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        right = np.cos(yaw) * x - np.sin(yaw) * z
        towards = np.sin(yaw) * x + np.cos(yaw) * z
        up = np.cos(pitch) * y - np.sin(pitch) * towards
        return np.stack([right, up, np.sin(pitch) * y + np.cos(pitch) * towards], axis=-1)


def animation(
    panels: Sequence[Panel],
    *,
    title: str,
    panel_size: tuple[int, int] = (250, 290),
    max_bytes: int = 400_000,
    camera: Camera | None = None,
    fps: float = 20.0,
) -> bytes:
    """Draw motions side by side as one looping GIF at their own pace, to the 10 ms that the format knows.

    All panels share one scale and show their whole motion from a fixed camera; a shorter motion holds its
    last pose. Equal input gives equal bytes. Where the file would be larger than `max_bytes`, it is drawn
    smaller. Raises DataError for joints that are not finite [F, J, 3] of a known body.
    """
    _check_all(panels)
    for factor in (1.0, 0.85, 0.72, 0.6, 0.5, 0.4):
        size = (round(panel_size[0] * factor), round(panel_size[1] * factor))
        data = _encode(_frames(panels, title, size, camera or Camera()), fps)
        if len(data) <= max_bytes:
            break
    return data


def frames(
    panels: Sequence[Panel],
    *,
    title: str,
    panel_size: tuple[int, int] = (320, 370),
    camera: Camera | None = None,
) -> list[Image.Image]:
    """Draw motions side by side, one picture per frame, for a film; as `animation`, at one size."""
    _check_all(panels)
    return _frames(panels, title, panel_size, camera or Camera())


def _check_all(panels: Sequence[Panel]) -> None:
    for panel in panels:
        _check(panel)
    if not panels:
        raise DataError("an animation needs at least one motion; give it one panel per model")


def contact_sheet(
    panels: Sequence[Panel],
    *,
    title: str,
    poses: int = 8,
    cell: tuple[int, int] = (124, 168),
    camera: Camera | None = None,
    fps: float = 20.0,
) -> bytes:
    """Draw a still PNG: one row per motion, `poses` poses at even times from left to right."""
    for panel in panels:
        _check(panel)
    view = camera or Camera()
    times = max(len(panel.joints) for panel in panels)
    # Each pose is shown where it stands; the root is held in the cell's middle so that poses do not overlap.
    centred = [panel.joints - panel.joints[:, :1] * np.array([1.0, 0.0, 1.0]) for panel in panels]
    scale = min(_scale(joints, cell, view) for joints in centred)
    label, head = 132, 34
    width, height = label + cell[0] * poses, head + cell[1] * len(panels) + 22
    sheet = Image.new("RGB", (width * SUPERSAMPLE, height * SUPERSAMPLE), PAPER)
    pencil = ImageDraw.Draw(sheet)
    for row, joints in enumerate(centred):
        bottom = head + cell[1] * (row + 1)
        line = (bottom - 16) * SUPERSAMPLE
        pencil.line([(label * SUPERSAMPLE, line), (width * SUPERSAMPLE, line)], fill=FLOOR, width=SUPERSAMPLE)
        for column in range(poses):
            time = min(round(column * (times - 1) / max(poses - 1, 1)), len(joints) - 1)
            origin = (label + cell[0] * (column + 0.5), bottom - 16.0)
            _figure(pencil, view.project(joints[time]), origin, scale)
    still = sheet.reduce(SUPERSAMPLE)
    pencil = ImageDraw.Draw(still)
    pencil.text((12, 9), _fit(title, 15, width - 24), font=_font(15, bold=True), fill=INK)
    for row, panel in enumerate(panels):
        middle = head + cell[1] * row + cell[1] // 2
        for index, part in enumerate(_wrap(_subscript(panel.caption), 13, label - 18)):
            pencil.text((12, middle - 10 + 17 * index), part, font=_font(13), fill=INK)
    for column in range(poses):
        seconds = column * (times - 1) / max(poses - 1, 1) / fps
        place = label + cell[0] * (column + 0.5)
        pencil.text((place, height - 18), f"{seconds:.1f} s", font=_font(11), fill=INK, anchor="mt")
    buffer = io.BytesIO()
    still.quantize(64, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _check(panel: Panel) -> None:
    joints = panel.joints
    known = joints.ndim == 3 and joints.shape[1] in BODIES and joints.shape[2] == 3
    if not known or len(joints) == 0 or not np.isfinite(joints).all():
        raise DataError(
            f"the motion {panel.caption!r} has shape {joints.shape} or values that are not finite; "
            f"it must be [frames, joints, 3] in metres, joints one of {', '.join(map(str, BODIES))}"
        )


def _frames(panels: Sequence[Panel], title: str, size: tuple[int, int], camera: Camera) -> list[Image.Image]:
    head, foot, gap = 34, 28, 1
    grounded = [panel.joints - np.array([0.0, panel.joints[..., 1].min(), 0.0]) for panel in panels]
    scale = min(_scale(joints, size, camera) for joints in grounded)
    # A motion that travels far is drawn small: the panels are only as high as it needs.
    tallest = max(float(np.ptp(camera.project(joints)[..., 1])) for joints in grounded)
    size = (size[0], min(size[1], max(round(scale * (tallest + 0.42)), round(0.6 * size[1]))))
    width = size[0] * len(panels) + gap * (len(panels) - 1)
    height = head + size[1] + foot
    ground = Image.new("RGB", (width * SUPERSAMPLE, height * SUPERSAMPLE), PAPER)
    origins = []
    for index, joints in enumerate(grounded):
        left = index * (size[0] + gap)
        origin = _centre(camera.project(joints), scale, (left, head), size)
        origins.append(origin)
        tile = Image.new("RGB", (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), PAPER)
        _floor(ImageDraw.Draw(tile), joints, camera, (origin[0] - left, origin[1] - head), scale)
        ground.paste(tile, (left * SUPERSAMPLE, head * SUPERSAMPLE))
    base = ground.reduce(SUPERSAMPLE)
    pencil = ImageDraw.Draw(base)
    pencil.text((10, 8), _fit(title, 16, width - 20), font=_font(16, bold=True), fill=INK)
    for index, panel in enumerate(panels):
        left = index * (size[0] + gap)
        if index:
            pencil.line([(left - gap, head), (left - gap, height - 4)], fill=FLOOR, width=gap)
        caption = _fit(_subscript(panel.caption), 15, size[0] - 8)
        pencil.text((left + size[0] / 2, head + size[1] + 4), caption, font=_font(15), fill=INK, anchor="mt")
    palette = _palette()
    frames = []
    drawn = [camera.project(joints) for joints in grounded]
    for time in range(max(len(joints) for joints in grounded)):
        frame = base.copy()
        for index, points in enumerate(drawn):
            pose = points[min(time, len(points) - 1)]
            _stamp(frame, pose, origins[index], scale, (index * (size[0] + gap), head), size)
        frames.append(frame.quantize(palette=palette, dither=Image.Dither.NONE))
    return frames


def _stamp(
    frame: Image.Image,
    pose: Array,
    origin: tuple[float, float],
    scale: float,
    corner: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Draw one stick figure into a small supersampled crop of the frame and paste it back."""
    margin = 0.16 * scale
    x = origin[0] + scale * pose[:, 0]
    y = origin[1] - scale * pose[:, 1]
    box = (
        max(int(x.min() - margin), corner[0]),
        max(int(y.min() - 1.6 * margin), corner[1]),
        min(int(x.max() + margin) + 1, corner[0] + size[0]),
        min(int(y.max() + margin) + 1, corner[1] + size[1]),
    )
    cut = frame.crop(box)
    large = cut.resize((cut.width * SUPERSAMPLE, cut.height * SUPERSAMPLE), Image.Resampling.NEAREST)
    _figure(ImageDraw.Draw(large), pose, (origin[0] - box[0], origin[1] - box[1]), scale)
    frame.paste(large.reduce(SUPERSAMPLE), box)


def _figure(pencil: ImageDraw.ImageDraw, pose: Array, origin: tuple[float, float], scale: float) -> None:
    """Draw limbs from far to near with round ends, then the head."""
    s = SUPERSAMPLE
    points = [(float((origin[0] + scale * x) * s), float((origin[1] - scale * y) * s)) for x, y, _ in pose]
    width = max(round(0.052 * scale * s), 3)
    body = body_of(len(pose))
    limbs = [(pair, LEFT_COLOUR) for pair in body.left] + [(pair, RIGHT_COLOUR) for pair in body.right]
    limbs += [(pair, INK) for pair in body.spine]
    limbs.sort(key=lambda limb: float(pose[limb[0][0], 2] + pose[limb[0][1], 2]))
    for (a, b), shade in limbs:
        pencil.line([points[a], points[b]], fill=shade, width=width)
        for x, y in (points[a], points[b]):
            pencil.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=shade)
    x, y = points[body.head]
    radius = 0.095 * scale * s
    y -= 0.5 * radius
    pencil.ellipse([x - radius, y - radius, x + radius, y + radius], fill=INK)


def _floor(
    pencil: ImageDraw.ImageDraw, joints: Array, camera: Camera, origin: tuple[float, float], scale: float
) -> None:
    """Draw half-metre lines on the floor around the whole motion, and the root's path on it."""
    low = np.floor(joints[..., (0, 2)].min(axis=(0, 1)) * 2 - 0.6) / 2
    high = np.ceil(joints[..., (0, 2)].max(axis=(0, 1)) * 2 + 0.6) / 2

    def place(x: float, z: float) -> tuple[float, float]:
        right, up, _ = camera.project(np.array([x, 0.0, z]))
        return float((origin[0] + scale * right) * SUPERSAMPLE), float((origin[1] - scale * up) * SUPERSAMPLE)

    for x in np.arange(low[0], high[0] + 0.25, 0.5):
        pencil.line([place(x, low[1]), place(x, high[1])], fill=FLOOR, width=SUPERSAMPLE)
    for z in np.arange(low[1], high[1] + 0.25, 0.5):
        pencil.line([place(low[0], z), place(high[0], z)], fill=FLOOR, width=SUPERSAMPLE)
    path = [place(float(x), float(z)) for x, _, z in joints[:, 0]]
    if len(path) > 1:
        pencil.line(path, fill=TRACE, width=2 * SUPERSAMPLE, joint="curve")


def _scale(joints: Array, size: tuple[int, int], camera: Camera) -> float:
    """Pixels per metre at which the whole motion fits with a margin, capped for a standing person."""
    points = camera.project(joints).reshape(-1, 3)
    span = np.maximum(np.ptp(points[:, :2], axis=0) + np.array([0.35, 0.42]), 1e-3)
    return float(min(size[0] / span[0], size[1] / span[1], size[1] / 2.05))


def _centre(
    points: Array, scale: float, corner: tuple[int, int], size: tuple[int, int]
) -> tuple[float, float]:
    """Where the world's origin lies on the picture so that the whole motion is centred in its panel."""
    flat = points.reshape(-1, 3)
    middle = (flat.min(axis=0) + flat.max(axis=0)) / 2
    lift = 0.05  # the head's disc reaches above its joint
    x = corner[0] + size[0] / 2 - scale * float(middle[0])
    return x, corner[1] + size[1] / 2 + scale * (float(middle[1]) + lift)


@cache
def _palette() -> Image.Image:
    """Paper and every colour in four steps towards paper: what smooth edges need, in under 32 entries."""
    colours: list[Colour] = [PAPER]
    for shade in (INK, LEFT_COLOUR, RIGHT_COLOUR):
        for part in (1.0, 0.75, 0.5, 0.25):
            mixed = [round(part * c + (1 - part) * p) for c, p in zip(shade, PAPER, strict=True)]
            colours.append((mixed[0], mixed[1], mixed[2]))
    colours += [FLOOR, TRACE]
    image = Image.new("P", (1, 1))
    image.putpalette([channel for shade in colours for channel in shade])
    return image


def _encode(frames: Sequence[Image.Image], fps: float) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=list(frames[1:]),
        duration=round(100 / fps) * 10,
        loop=0,
        disposal=1,
        optimize=True,  # pixels that stay are written as transparent, which packs to a third
    )
    return buffer.getvalue()


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that matplotlib carries, so that every machine draws the same letters."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(folder / name), size, layout_engine=ImageFont.Layout.BASIC)


def _subscript(text: str) -> str:
    """Set the name D_r with the font's own small r."""
    return text.replace("D_r", "D\u1d63")


def _fit(text: str, size: int, width: int) -> str:
    """Shorten a line with an ellipsis until it fits."""
    if _font(size, bold=True).getlength(text) <= width:
        return text
    while text and _font(size, bold=True).getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _wrap(text: str, size: int, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
