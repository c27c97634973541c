"""Recording of training steps, with work that is done again in the place of a CUDA graph."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hmu_tasks.runtime.acceleration import DETERMINISTIC
from hmu_tasks.training.loop import recorded
from hmu_tasks.training.loop.recorded import StepInputs, StepRecorder, copies


class Rerun:
    """Does the work again on the tensors that it was recorded with, as a graph does."""

    made = 0

    def __init__(
        self, work: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], *, pool: object = None
    ) -> None:
        del pool
        type(self).made += 1
        self.work, self.inputs = work, [tensor.clone() for tensor in inputs]
        self.graph = self

    def pool(self) -> None:
        """Memory of a graph."""

    def replay(self, inputs: Sequence[Tensor]) -> None:
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.work(*self.inputs)


class Stream:
    """A CUDA stream."""

    def wait_stream(self, other: object) -> None:
        """Nothing to wait for."""


@pytest.fixture(autouse=True)
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    Rerun.made = 0
    monkeypatch.setattr(recorded, "GraphRecording", Rerun)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())


class Training:
    """A parameter with a moment that comes into being in the first step, moved by inputs and random numbers."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(torch.zeros(50))
        self.moments: list[Tensor] = []
        self.step = 0

    def advance(self, inputs: StepInputs) -> None:
        self.weight.grad = None
        summing_node(self.weight).metadata["used"] = True
        (self.weight * (inputs.tensors[0].sum() + torch.rand(50))).sum().backward()
        assert self.weight.grad is not None
        if not self.moments:
            self.moments.append(torch.zeros(50))
        moment = self.moments[0]
        moment.mul_(0.9).add_(self.weight.grad)
        with torch.no_grad():
            self.weight += moment * (2 if inputs.key == "b" else 1)

    def state(self) -> list[Tensor]:
        return [self.weight, *self.moments]

    def seed(self) -> None:
        torch.manual_seed(self.step)

    def run(self, take: Callable[[StepInputs], None]) -> list[Tensor]:
        for step in range(12):
            self.step = step
            self.seed()
            take(StepInputs((torch.full((3,), float(step)),), "ab"[step % 2]))
        return self.state()


def summing_node(parameter: nn.Parameter) -> Any:
    """The graph's node that adds up a parameter's gradient; it lives as long as some graph needs it."""
    view = parameter.view_as(parameter).grad_fn
    assert view is not None
    return view.next_functions[0][0]


def plain() -> list[Tensor]:
    training = Training()
    return training.run(training.advance)


def test_recorded_steps_end_where_plain_ones_do() -> None:
    training = Training()
    recorder = StepRecorder(training.advance, training.state, training.seed)
    found = training.run(recorder.run)
    assert all(torch.equal(one, other) for one, other in zip(found, plain(), strict=True))
    assert Rerun.made == len(recorder.recordings) == 2
    assert not recorder.broken


def test_nothing_keeps_the_graph_of_a_plain_step_when_the_next_one_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """torch captures no backward pass through a node that was made on another stream."""
    training = Training()
    kept: list[bool] = []

    class Watched(Rerun):
        def __init__(self, *given: Any, **more: Any) -> None:
            kept.append("used" in summing_node(training.weight).metadata)
            super().__init__(*given, **more)

    monkeypatch.setattr(recorded, "GraphRecording", Watched)
    training.run(StepRecorder(training.advance, training.state, training.seed).run)
    assert kept == [False, False]
    graph = training.weight * 1
    summing_node(training.weight).metadata["used"] = True
    assert "used" in summing_node(training.weight).metadata  # what a graph that is kept would have shown
    assert graph.grad_fn is not None


def test_state_that_is_kept_has_no_graph() -> None:
    parameter = nn.Parameter(torch.ones(3))
    (copy,) = copies([parameter])
    assert copy.grad_fn is None
    assert not copy.requires_grad
    with torch.no_grad():
        parameter.zero_()
    assert copy.tolist() == [1, 1, 1]


@pytest.mark.parametrize("fault", ["wrong", "idle", "refused"])
def test_a_fault_is_told_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    class Faulty(Rerun):
        def __init__(self, *given: Any, **more: Any) -> None:
            if fault == "refused":
                raise RuntimeError("operation not permitted when stream is capturing")
            super().__init__(*given, **more)

        def replay(self, inputs: Sequence[Tensor]) -> None:
            if fault == "wrong":
                super().replay([tensor + 1000.0 for tensor in inputs])

    monkeypatch.setattr(recorded, "GraphRecording", Faulty)
    training = Training()
    recorder = StepRecorder(training.advance, training.state, training.seed)
    found = training.run(recorder.run)
    assert all(torch.equal(one, other) for one, other in zip(found, plain(), strict=True))
    assert recorder.broken
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("note: ")
    assert "plain steps go on" in told[0]


@pytest.mark.parametrize("asked", ["0", "1"])
def test_determinism_needs_equal_bits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    class Close(Rerun):
        def replay(self, inputs: Sequence[Tensor]) -> None:
            super().replay([tensor * (1 + 1e-6) for tensor in inputs])

    monkeypatch.setattr(recorded, "GraphRecording", Close)
    monkeypatch.setenv(DETERMINISTIC, asked)
    training = Training()
    recorder = StepRecorder(training.advance, training.state, training.seed)
    found, exact = training.run(recorder.run), plain()
    same = all(torch.equal(one, other) for one, other in zip(found, exact, strict=True))
    assert same == recorder.broken == (asked == "1")
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-4)
    told = "note: a recorded training step differs from the plain one; plain steps go on\n"
    assert capsys.readouterr().err == (told if asked == "1" else "")


def test_recordings_that_are_equal_to_the_bit_are_kept_under_determinism(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(DETERMINISTIC, "1")
    training = Training()
    recorder = StepRecorder(training.advance, training.state, training.seed)
    training.run(recorder.run)
    assert len(recorder.recordings) == 2


def test_missing_memory_is_no_fault_of_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(recorded, "GraphRecording", refuse)
    training = Training()
    with pytest.raises(torch.OutOfMemoryError):
        training.run(StepRecorder(training.advance, training.state, training.seed).run)
