"""Training steps of fixed shapes: the loss in two parts, and CUDA graphs of whole steps."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.cuda import _POOL_HANDLE

from hmu_tasks.models.networks.recording import GraphRecording
from hmu_tasks.runtime.acceleration import deterministic, note
from hmu_tasks.training.loop.history import Values


@dataclass(frozen=True)
class StepInputs:
    """What one step reads: tensors on the device, and the choices that its shapes follow from."""

    tensors: tuple[Tensor, ...]
    key: Hashable


@dataclass(frozen=True)
class Part:
    """Mean loss (with gradient) and mean named values of some rows of a batch, and how much each mean weighs.

    The mean by `weight` over all parts is the batch's loss; that of a value by its entry of `weights` is its value.
    """

    loss: Tensor
    weight: Tensor
    values: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class FixedLoss:
    """A loss whose work on the device never waits and has few shapes.

    prepare: (rows of the training set, the step's generator on the host) -> inputs.
    compute: (inputs, the step's generator on the device) -> (loss, named values).
    part: the same of some rows of the inputs alone, with the random numbers of all; None where that is not possible.
    """

    prepare: Callable[[np.ndarray, torch.Generator], StepInputs]
    compute: Callable[[StepInputs, torch.Generator], tuple[Tensor, Values]]
    part: Callable[[StepInputs, torch.Generator, slice], Part] | None = None

    def __call__(self, rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        """Do both at once with one generator, as on a CPU."""
        return self.compute(self.prepare(rows, generator), generator)


class StepRecorder:
    """CUDA graphs of whole training steps, one for each key and shape of the inputs.

    advance: runs one step on inputs, from the loss to the new weights. state: the tensors that a step changes.
    seed: gives the device's generator the seed of the step. clear: drops the gradients, so that those of a graph get
    places of its own.
    """

    def __init__(
        self,
        advance: Callable[[StepInputs], None],
        state: Callable[[], list[Tensor]],
        seed: Callable[[], None],
        clear: Callable[[], None] = lambda: None,
    ) -> None:
        self.advance, self.state, self.seed, self.clear = advance, state, seed, clear
        self.recordings: dict[Hashable, GraphRecording] = {}
        self.pool: _POOL_HANDLE | None = None
        self.broken = self.used = False

    def give_up(self, why: str) -> None:
        """Drop all recordings and their memory; all further steps are plain."""
        self.broken = True
        self.recordings.clear()
        self.pool = None
        note(why)

    def run(self, inputs: StepInputs) -> None:
        """Run one step, by its graph if there is one; where there is none yet, record it and check it.

        The plain step's result stays. Where recording fails or the graph's result differs from it, a note says so, and
        all further steps are plain. Where memory does not suffice, everything is as it was before the step.
        """
        if self.broken:
            self.advance(inputs)
            return
        self.used = True
        key = (inputs.key, tuple((tensor.shape, tensor.dtype) for tensor in inputs.tensors))
        if key in self.recordings:
            self.recordings[key].replay(inputs.tensors)
            return
        before = copies(self.state())
        try:
            self._record(key, inputs, before)
        except torch.OutOfMemoryError:
            self._restore(before)
            raise

    def _record(self, key: Hashable, inputs: StepInputs, before: Sequence[Tensor]) -> None:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch asks for warm-up away from the default stream
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.advance(inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._restore(before)
        self.seed()
        self.advance(inputs)
        plain = copies(self.state())
        self._restore(before)
        self.clear()
        self.seed()
        recording = self._recorded(inputs)
        if recording is None:
            self._restore(plain)
            return
        self.seed()
        recording.replay(inputs.tensors)
        # A continued training takes plain steps where the one that went on replayed: its bytes need equal ones.
        same = equal(plain, self.state()) if deterministic() else agree(before, plain, self.state())
        if same:
            self.recordings[key] = recording
        else:
            self.broken = True
            note("a recorded training step differs from the plain one; plain steps go on")
        self._restore(plain)

    def _recorded(self, inputs: StepInputs) -> GraphRecording | None:
        def work(*tensors: Tensor) -> Sequence[Tensor]:
            self.advance(StepInputs(tensors, inputs.key))
            return ()

        try:
            recording = GraphRecording(work, inputs.tensors, pool=self.pool)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.broken = True
            note(f"training steps could not be recorded as CUDA graphs, plain steps go on ({error})")
            return None
        self.pool = recording.graph.pool()
        return recording

    def _restore(self, saved: Sequence[Tensor]) -> None:
        """Put the tensors back; those that came into being since then began as zeros, as all state of a step does."""
        with torch.no_grad():
            for place, tensor in enumerate(self.state()):
                if place < len(saved):
                    tensor.copy_(saved[place])
                else:
                    tensor.zero_()


def copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copy tensors without their gradients' graph.

    With it, a copy would keep the node that sums a parameter's gradient, and with the node the stream that it was made
    on: torch refuses to capture a backward pass on another one.
    """
    return [tensor.detach().clone() for tensor in tensors]


def equal(plain: Sequence[Tensor], recorded: Sequence[Tensor]) -> bool:
    """Whether two steps lead to the same values, to the last digit."""
    return all(torch.equal(one, other) for one, other in zip(plain, recorded, strict=True))


def agree(before: Sequence[Tensor], plain: Sequence[Tensor], recorded: Sequence[Tensor]) -> bool:
    """Whether two steps from the same state lead to the same: they differ by less than 5 % of what a step changes.

    AdamW turns the last digits of a gradient near zero into a change of full size, so that no single weight tells.
    """
    changed = apart = 0.0
    for old, one, other in zip(before, plain, recorded, strict=False):
        one = one.detach().double()
        changed += float((one - old.detach().double()).abs().sum())
        apart += float((one - other.detach().double()).abs().sum())
    return apart <= 0.05 * changed
