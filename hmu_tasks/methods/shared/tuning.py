"""Methods that train on: what they minimise, and the training itself, which a killed process continues.

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

from hmu_tasks.models.generators.bamm_base import BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer
from hmu_tasks.models.generators.residual import ResidualTransformer
from hmu_tasks.models.networks import weights
from hmu_tasks.training.loop.fit import Progress, Schedule, fit
from hmu_tasks.training.loop.transformers import CodeSet

Transformer = MaskTransformer | BammTransformer | ResidualTransformer


@dataclass(frozen=True)
class Objective:
    """What a method minimises.

    loss_of: (the network in training, rows of the clips that batches are made of, generator of the step) -> (loss,
    named values). lengths: [N] tokens of those clips.
    """

    loss_of: Callable[[Transformer, np.ndarray, torch.Generator], tuple[Tensor, dict[str, float]]]
    lengths: np.ndarray


def draw(
    network: Transformer, clips: CodeSet, rows: np.ndarray, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a transformer's training loss reads of some clips: codes, sentence vectors [B, W], lengths [B].

    The base transformer reads the codes of layer 0, [B, T]; the residual one those of all layers, [B, T, Q].
    """
    codes, text, lengths = clips.draw(rows, generator, device, network.pad_id)
    return codes if isinstance(network, ResidualTransformer) else codes[..., 0], text, lengths


def tune(
    network: Transformer,
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
    and ends with the same bytes. Raises WeightsError when they cannot be read. `network` stays as it is.
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
        schedule=Schedule(max(wanted), batch, rate, warmup=0, evaluate_every=max(wanted), floor=1.0),
        seed=seed,
        device=device,
        checkpoint=scratch / "checkpoint.pt",
        checkpoint_every=50,
        progress=keep,
    )
    return {done: weights.load_state(scratch / f"after-{done}") for done in sorted(wanted)}
