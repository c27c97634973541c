"""Clips that a reader yields itself: what is selected, what is left out, and when the step stops."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hmu_tasks.data.clips.clips import Caption, Clip, Skipped
from hmu_tasks.data.datasets.stream import ClipStream
from hmu_tasks.data.motion.layout import HUMANML3D
from hmu_tasks.runtime.errors import DataError


def clip(name: str, frames: int = 50, *, split: str = "train", captions: int = 1, width: int = 263) -> Clip:
    features = np.zeros((frames, width), np.float32)
    return Clip(name, split, name, features, tuple(Caption(f"walk {i}", "") for i in range(captions)))


def read() -> Iterator[Clip | Skipped]:
    yield clip("a")
    yield clip("short", 39)
    yield clip("long", 200)
    yield clip("edge", 40, split="val")
    yield Skipped("gone", "no motion", "is missing")
    yield clip("a")
    yield clip("mute", captions=0)
    yield clip("odd", split="dev")
    yield clip("wide", width=251)
    yield clip("z", split="test")


def stream(on_bad: Any) -> ClipStream:
    limits: dict[str, Any] = {"min_frames": 40, "max_frames": 200, "on_bad": on_bad}
    return ClipStream(read(), folder=Path("raw"), layout=HUMANML3D, **limits)


def test_what_cannot_be_used_is_left_out_and_recorded() -> None:
    found = stream("skip")
    assert [one.clip_id for one in found.clips()] == ["a", "edge", "z"]
    assert [(one.id, one.reason, one.damaged) for one in found.skipped] == [
        ("short", "too short", False),
        ("long", "too long", False),
        ("gone", "no motion", True),
        ("a", "listed twice", True),
        ("mute", "no caption", True),
        ("odd", "no split", True),
        ("wide", "bad motion", True),
    ]


def test_or_the_step_stops_when_all_is_read() -> None:
    found = stream("error")
    clips = found.clips()
    assert [next(clips).clip_id, next(clips).clip_id] == ["a", "edge"]
    with pytest.raises(DataError, match=r"raw: 5 faults in 10 motions; nothing was ingested") as caught:
        next(clips)
    assert "listed twice: 1" in str(caught.value)
