"""Methods that fine-tune: their objective, and the training loop, which resumes after a kill.

One training run serves all strengths: the learning rate is constant, so that the weights after n steps are the same
however many steps follow.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.networks import weights
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.fit import Schedule, fit
from hmu_tasks.training.loop.history import Values


@dataclass(frozen=True)
class Objective:
    """The objective of a method.

    loss_of: (the network in training, rows of the clips that batches are made of, generator of the step) -> (loss,
    named values). lengths: [N] tokens of those clips.
    """

    loss_of: Callable[[CodeNetwork, np.ndarray, torch.Generator], tuple[Tensor, Values]]
    lengths: np.ndarray


def tune(
    network: CodeNetwork,
    objective: Objective,
    *,
    steps: Sequence[int],
    batch: int,
    rate: float,
    seed: int,
    device: torch.device,
    scratch: Path,
    progress: Progress | None,
) -> dict[int, dict[str, Tensor]]:
    """Train a copy of `network`; returns its weights after each of the listed `steps`, which are at least 1 each.

    scratch: folder of this training alone, for its checkpoint and the weights so far; a run that finds them continues
    and ends with the same bytes. Raises WeightsError when they cannot be read. `network` is not modified.
    """
    student = copy.deepcopy(network).to(device).requires_grad_(True)
    wanted = frozenset(steps)

    def keep(done: int, total: int) -> None:
        # Called before the checkpoint of the same step is written: a checkpoint never lacks weights of an earlier step.
        if done in wanted:
            weights.save(student.state_dict(), {}, scratch / f"after-{done}")
        if progress is not None:
            progress(done, total)

    fit(
        student,
        lambda rows, generator: objective.loss_of(student, rows, generator),
        objective.lengths,
        schedule=Schedule(
            max(wanted), batch, rate, warmup=0, evaluate_every=max(max(wanted) // 10, 1), floor=1.0
        ),
        seed=seed,
        device=device,
        checkpoint=scratch / "checkpoint.pt",
        progress=keep,
    )
    return {done: weights.load_state(scratch / f"after-{done}") for done in sorted(wanted)}
