"""What is left when work cannot be recorded, with streams that are pretended."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from hmu_tasks.models.networks.recording import GraphRecording


class Streams:
    """The current stream, and a capture whose end is an error, as torch writes it."""

    def __init__(self) -> None:
        self.current = "own"

    @contextmanager
    def on(self, stream: str) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def capture(self, *_: Any, **__: Any) -> Iterator[None]:
        self.current = "capture"
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")


def test_a_failed_recording_leaves_the_stream_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams()
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", streams.capture)
    monkeypatch.setattr(torch.cuda, "stream", streams.on)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: streams.current)
    met = []

    def work(given: torch.Tensor) -> list[torch.Tensor]:
        met.append(streams.current)
        return [given]

    with pytest.raises(RuntimeError, match="previous error during capture"):
        GraphRecording(work, [torch.zeros(2)])
    assert met == ["capture"]
    assert streams.current == "own"
