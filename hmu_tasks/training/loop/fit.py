"""One training loop for every network: step-seeded, resumable to the byte, with early stopping and curves."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.models.networks.device import full_precision, mixed_precision, repeatable, tensor_cores
from hmu_tasks.runtime.errors import ConfigError, DataError, HmuError
from hmu_tasks.runtime.intervals import Every, interval
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.adamw import AdamW
from hmu_tasks.training.loop.checkpoint import Checkpoint
from hmu_tasks.training.loop.history import Averages, Curves, History, Values
from hmu_tasks.training.loop.processes import first
from hmu_tasks.training.loop.steps import Loss as Loss
from hmu_tasks.training.loop.steps import Steps, Update, step_seed

CHECKPOINT_SECONDS = 20.0
"""Between two checkpoints, unless HMU_CHECKPOINT_SECONDS says otherwise: what a killed training loses at most."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train: optimiser steps, clips per step, learning rate with warm-up and cosine decay."""

    steps: int
    batch: int
    rate: float
    warmup: int = 50
    decay: float = 0.0
    clip: float = 1.0
    evaluate_every: int = 100
    patience: int = 0  # evaluations without improvement before stopping; 0 = never
    floor: float = 0.02  # learning rate at the end, as a share of `rate`; 1 = no decay


def learning_rate(step: int, schedule: Schedule) -> float:
    """Linear warm-up, then a cosine from `rate` to the share `floor` of it."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    done = (step - schedule.warmup) / max(schedule.steps - schedule.warmup, 1)
    return schedule.rate * (schedule.floor + (1.0 - schedule.floor) * 0.5 * (1.0 + math.cos(math.pi * done)))


def epoch_batches(lengths: np.ndarray, batch: int, seed: int, *, bucket: int = 8) -> Iterator[np.ndarray]:
    """Yield index batches for ever: a fresh permutation each epoch, similar lengths together to save padding.

    lengths: [N] lengths used for bucketing; `bucket` batches are sorted by length at a time.
    The last batch of an epoch is dropped when it is not full; with fewer clips than a batch, all are taken.
    Raises DataError when there is nothing to train on.
    """
    if len(lengths) == 0:
        raise DataError(
            "there is no clip to train on; check the training split and what filter left to retain"
        )
    epoch = 0
    while True:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(lengths))
        full = len(order) // batch * batch
        order = order[:full] if full else order
        batches = []
        for start in range(0, len(order), batch * bucket):
            group = order[start : start + batch * bucket]
            group = group[np.argsort(lengths[group], kind="stable")]
            batches += [group[i : i + batch] for i in range(0, len(group), batch)]
        yield from (batches[i] for i in rng.permutation(len(batches)))
        epoch += 1


class FitOptions(TypedDict):
    """Arguments that every trainer takes and hands on to `fit`."""

    schedule: Schedule
    seed: int
    device: torch.device
    checkpoint: Path | None
    progress: Progress | None
    curves: NotRequired[Curves | None]


@dataclass(frozen=True)
class Trained:
    """Result of training: the curve, the best validation value (None without validation), the steps taken."""

    history: History
    best: float | None
    steps: int


def fit(
    model: nn.Module,
    loss_of: Loss,
    lengths: np.ndarray,
    *,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    checkpoint_due: Callable[[int], bool] | None = None,
    validate: Callable[[], float] | None = None,
    progress: Progress | None = None,
    curves: Curves | None = None,
    mixed: bool = True,
    one_shape: bool = False,
) -> Trained:
    """Train `model` in place; a checkpoint on disk is resumed, and the result equals an uninterrupted run.

    loss_of: the loss of one step; a `FixedLoss` is prepared on the host and computed on the device alone, with random
        numbers of its own generator, and recorded there. Any other gets a generator of the CPU on every device.
    lengths: [N] lengths of the training clips, for batches of similar length.
    checkpoint_due: says after a step, by its number, whether to save; by default every CHECKPOINT_SECONDS.
    validate: smaller is better; called every `schedule.evaluate_every` steps; the best weights are kept when
        `schedule.patience` is set, otherwise the last ones.
    mixed: compute in bfloat16 where the device does so natively, and the rest in TF32 on CUDA; not for losses that
        subtract large numbers.
    one_shape: all batches have the same shape, so that CPUs may compute in bfloat16 too.
    Models with `training_state()` / `load_training_state()` (EMA codebooks) are continued with it.
    Where a batch does not fit into a GPU's memory, a `FixedLoss` that can be computed in parts is, with equal results.
    Under torchrun several processes train together (`processes`), with a `FixedLoss` only; else ConfigError is raised.
    Raises WeightsError when the checkpoint cannot be read, DataError without training clips, ConfigError when values
    are no longer finite, HmuError where memory does not suffice.
    """
    optimiser = AdamW(
        (p for p in model.parameters() if p.requires_grad),
        rate=schedule.rate,
        betas=(0.9, 0.99),
        decay=schedule.decay,
    )
    history, averages = History(), Averages(device)
    state: dict[str, Any] = {"step": 0, "best": None, "best_state": None, "stale": 0}
    due = checkpoint_due or Every(interval("HMU_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS))

    def gradient(loss: Callable[[], tuple[Tensor, Values]], *, fresh: bool = True) -> Values:
        with mixed_precision(device, one_shape=one_shape) if mixed else nullcontext():
            total, values = loss()
        if fresh:
            optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        return values

    def finish(values: Values) -> None:
        nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimiser.step()
        averages.add(values)

    # If the checkpoint was written when patience ran out, training is finished.
    with (
        Checkpoint(checkpoint, writes=first()) as saved,
        # Without a list, random numbers of all devices that can be seen would be kept, with a context on each.
        torch.random.fork_rng([torch.cuda.current_device()] if device.type == "cuda" else []),
        tensor_cores(device) if mixed else nullcontext(),
        repeatable(device),
    ):
        saved.restore(model, optimiser, state, history, averages)

        def reseed() -> None:
            torch.manual_seed(step_seed(seed, state["step"]))

        steps = Steps(
            model,
            loss_of,
            Update(gradient, finish),
            lambda: _changing(model, optimiser, averages),
            reseed,
            seed=seed,
            device=device,
        )
        batches = epoch_batches(lengths, schedule.batch, seed)
        for _ in range(state["step"]):
            next(batches)
        model.train()
        stop = _out_of_patience(schedule, state)
        while state["step"] < schedule.steps and not stop:
            optimiser.rate = learning_rate(state["step"], schedule)
            steps.take(state["step"], next(batches))
            averages.count += 1
            state["step"] += 1
            if state["step"] % schedule.evaluate_every == 0 or state["step"] == schedule.steps:
                means = averages.drain()
                for name, value in means.items():
                    history.add(state["step"], name, value)
                _check_finite(means, state["step"])
                stop = _evaluate(model, validate, schedule, state, history)
                if curves is not None:
                    curves(history.rows)
            if progress is not None:
                progress(state["step"], schedule.steps)
            if stop or state["step"] == schedule.steps or due(state["step"]):
                saved.save(model, optimiser, state, history, averages)
    if schedule.patience and state["best_state"] is not None:
        model.load_state_dict(state["best_state"])
    model.eval()
    return Trained(history=history, best=state["best"], steps=state["step"])


def _changing(model: nn.Module, optimiser: AdamW, averages: Averages) -> list[Tensor]:
    """Everything on the device that a step changes; what the first step makes comes last."""
    made = [] if averages.total is None else [averages.total]
    for moments in optimiser.state.values():
        made += moments.values()
    return [*model.parameters(), *model.buffers(), *made]


def _evaluate(
    model: nn.Module,
    validate: Callable[[], float] | None,
    schedule: Schedule,
    state: dict[str, Any],
    history: History,
) -> bool:
    """Validate, keep the best weights, and return whether patience has run out."""
    if validate is None:
        return False
    model.eval()
    try:
        with torch.no_grad(), full_precision():
            value = validate()
    except torch.OutOfMemoryError as error:
        raise HmuError(
            "the validation of a training does not fit into the GPU's memory; free it (nvidia-smi lists the "
            "processes), set HMU_STAGES_PER_GPU=1, or lower this component's `batch` in params.yaml"
        ) from error
    model.train()
    history.add(state["step"], "validation", value)
    if state["best"] is None or value < state["best"]:
        state["best"], state["stale"] = value, 0
        if schedule.patience:
            state["best_state"] = {k: v.detach().clone() for k, v in model.state_dict().items()}
    else:
        state["stale"] += 1
    return _out_of_patience(schedule, state)


def _check_finite(means: Mapping[str, float], step: int) -> None:
    """Raise ConfigError where a training has diverged: nothing that follows could use its weights."""
    lost = [name for name, value in means.items() if not math.isfinite(value)]
    if lost:
        raise ConfigError(
            f"the training has diverged: {', '.join(lost)} is not finite within the steps up to {step}; lower the "
            "`rate` of this component or method in params.yaml"
        )


def _out_of_patience(schedule: Schedule, state: dict[str, Any]) -> bool:
    return bool(schedule.patience) and state["stale"] >= schedule.patience
