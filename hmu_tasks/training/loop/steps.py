"""Single steps of a training: plain, recorded as CUDA graphs, or in parts where a batch does not fit into memory."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.runtime.acceleration import graphs, note
from hmu_tasks.runtime.errors import ConfigError, HmuError
from hmu_tasks.training.loop.history import Values
from hmu_tasks.training.loop.processes import processes, shared_compute
from hmu_tasks.training.loop.recorded import FixedLoss, Part, StepInputs, StepRecorder

Loss = Callable[[np.ndarray, torch.Generator], tuple[Tensor, Values]]
"""(indices into the training set, generator of the step) -> (loss, named values for the curve)."""


def step_seed(seed: int, step: int) -> int:
    """Seed of one training step, so that a resumed run has the random numbers of an uninterrupted one."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


class Gradient(Protocol):
    """Adds the gradient of a loss, after dropping that of before where `fresh`; returns the named values."""

    def __call__(self, loss: Callable[[], tuple[Tensor, Values]], *, fresh: bool = True) -> Values:
        """Compute it."""


@dataclass(frozen=True)
class Update:
    """The two halves of a step: gradients of a loss, and what follows from them, given the named values."""

    gradient: Gradient
    finish: Callable[[Values], None]

    def __call__(self, loss: Callable[[], tuple[Tensor, Values]]) -> None:
        """Take a step on one loss."""
        self.finish(self.gradient(loss))


class Steps:
    """Takes training steps: recorded ones where the loss allows it and the device can, else plain ones.

    On a GPU without room for a batch, recording is given up first; then the rows of a batch are halved until they fit,
    their gradients summed: the step is that of the whole batch, but for rounding and for the masks of dropout.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_of: Loss,
        update: Update,
        state: Callable[[], list[Tensor]],
        reseed: Callable[[], None],
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self.model, self.loss_of, self.update, self.seed, self.device = model, loss_of, update, seed, device
        self.reseed = reseed
        if processes() > 1 and not _divisible(loss_of):
            raise ConfigError("this component trains in one process; start its training without torchrun")
        self.compute = shared_compute(model, loss_of) if isinstance(loss_of, FixedLoss) else None
        self.recorder = StepRecorder(self._compute, state, reseed, clear=model.zero_grad)
        # The first step of a training sets up what later ones find: moments of the optimiser, codebooks.
        self.plain = True
        self.at_once: int | None = None  # rows whose gradient is computed together; None: all

    def take(self, step: int, rows: np.ndarray) -> None:
        """Take one step on the given rows; raises HmuError where not even one of them fits into the GPU's memory."""
        while not self._tried(step, rows):
            # Behind the handler: as long as it runs, the error keeps the failed batch's tensors alive.
            self.model.zero_grad()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _tried(self, step: int, rows: np.ndarray) -> bool:
        try:
            self._take(step, rows)
        except torch.OutOfMemoryError as error:
            self._shrink(len(rows), error)
            return False
        return True

    def _shrink(self, rows: int, error: torch.OutOfMemoryError) -> None:
        """Decide how the step is tried again."""
        if not self.recorder.broken and self.recorder.used:
            self.recorder.give_up(
                "training steps do not fit into the GPU's memory as CUDA graphs; plain steps go on"
            )
            return
        at_once = min(rows, self.at_once or rows)
        if at_once == 1 or processes() > 1 or not _divisible(self.loss_of):
            raise HmuError(
                f"a training step on {at_once} clips does not fit into the GPU's memory; free it (nvidia-smi lists the "
                "processes), set HMU_STAGES_PER_GPU=1, or lower this component's `batch` in params.yaml"
            ) from error
        self.at_once = (at_once + 1) // 2
        note(
            f"a training step on {at_once} clips does not fit into the GPU's memory; gradients of {self.at_once} at a "
            "time are summed now, which gives the same step"
        )

    def _take(self, step: int, rows: np.ndarray) -> None:
        self.reseed()
        host = torch.Generator(device="cpu").manual_seed(step_seed(self.seed + 1, step))
        if not isinstance(self.loss_of, FixedLoss):
            self.update(lambda: self.loss_of(rows, host))
            return
        if self.at_once is not None and self.at_once < len(rows):
            self._in_parts(step, rows, self.at_once)
            return
        inputs = self.loss_of.prepare(rows, host)
        if self.device.type != "cuda":
            self._compute(inputs, host)
        elif self.plain or self.at_once is not None or processes() > 1 or not graphs():
            self._compute(inputs)
            self.plain = False
        else:
            self.recorder.run(inputs)

    def _in_parts(self, step: int, rows: np.ndarray, at_once: int) -> None:
        """Sum the gradients of parts of a batch; each part draws the random numbers of the whole one."""
        loss = self.loss_of
        assert isinstance(loss, FixedLoss)
        assert loss.part is not None
        sums: dict[str, Tensor] = {}
        weights: dict[str, Tensor] = {}
        total: Tensor | None = None
        for start in range(0, len(rows), at_once):
            self.reseed()
            host = torch.Generator(device="cpu").manual_seed(step_seed(self.seed + 1, step))
            inputs, stream = loss.prepare(rows, host), self._stream(host)
            found: list[Part] = []
            part_of = partial(loss.part, inputs, stream, slice(start, start + at_once))
            self.update.gradient(partial(_summed, part_of, found), fresh=start == 0)
            (part,) = found
            total = part.weight if total is None else total + part.weight
            for name, value in part.values.items():
                weight = part.weights[name]
                sums[name] = sums[name] + value * weight if name in sums else value * weight
                weights[name] = weights[name] + weight if name in weights else weight
        assert total is not None
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad /= total
        self.update.finish({name: value / weights[name] for name, value in sums.items()})

    def _compute(self, inputs: StepInputs, host: torch.Generator | None = None) -> None:
        """Take a step with the device's own generator, or the host's on a CPU."""
        compute = self.compute
        assert compute is not None
        stream = self._stream(host)
        self.update(lambda: compute(inputs, stream))

    def _stream(self, host: torch.Generator | None) -> torch.Generator:
        if host is not None and self.device.type != "cuda":
            return host
        return torch.cuda.default_generators[torch.cuda.current_device()]


def _divisible(loss: Loss) -> bool:
    """Whether a loss can be computed of some rows of a batch alone: a codebook follows from all rows of its batch."""
    return isinstance(loss, FixedLoss) and loss.part is not None


def _summed(part_of: Callable[[], Part], found: list[Part]) -> tuple[Tensor, Values]:
    """Compute a part and keep it; its loss as a sum, so that gradients of parts may be added."""
    part = part_of()
    found.append(part)
    return part.loss * part.weight, part.values
