"""One training loop for every network: step-seeded, resumable to the byte, with early stopping and curves."""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.models.networks.device import mixed_precision
from hmu_tasks.models.networks.weights import UNREADABLE
from hmu_tasks.runtime.errors import DataError, WeightsError
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.adamw import AdamW

Row = tuple[int, str, float]
Curves = Callable[[Sequence[Row]], None]
"""Receives all points so far whenever there are new ones."""


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


@runtime_checkable
class Stateful(Protocol):
    """A network that carries training state beside its weights, such as the averages of EMA codebooks."""

    def training_state(self) -> dict[str, Tensor]:
        """Return the state."""
        ...

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take the state back."""
        ...


@dataclass
class History:
    """Curve points as rows (step, name, value), in the order in which they were measured."""

    rows: list[Row] = field(default_factory=list)

    def add(self, step: int, name: str, value: float) -> None:
        """Append one point."""
        self.rows.append((step, name, float(value)))

    def csv(self) -> str:
        """Write the points as a table (step, name, value) with six significant digits; NaN is left empty."""
        lines = ["step,name,value\n"]
        for step, name, value in self.rows:
            lines.append(f"{step},{name},{'' if math.isnan(value) else f'{value:.6g}'}\n")
        return "".join(lines)


class Averages:
    """Running means of named losses between two evaluations."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, values: dict[str, float]) -> None:
        """Add the values of one step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def drain(self) -> dict[str, float]:
        """Return the means since the last call and reset them."""
        means = {name: value / max(self.count, 1) for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


def step_seed(seed: int, step: int) -> int:
    """Seed of one training step, so that a resumed run has the random numbers of an uninterrupted one."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


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
    loss_of: Callable[[np.ndarray, torch.Generator], tuple[Tensor, dict[str, float]]],
    lengths: np.ndarray,
    *,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    checkpoint_every: int = 200,
    validate: Callable[[], float] | None = None,
    progress: Progress | None = None,
    curves: Curves | None = None,
    mixed: bool = True,
    one_shape: bool = False,
) -> Trained:
    """Train `model` in place; a checkpoint on disk is resumed, and the result equals an uninterrupted run.

    loss_of: (indices into the training set, generator of the step) -> (loss, named values for the curve).
    lengths: [N] lengths of the training clips, for batches of similar length.
    validate: smaller is better; called every `schedule.evaluate_every` steps; the best weights are kept when
        `schedule.patience` is set, otherwise the last ones.
    mixed: compute in bfloat16 where the device does so natively; not for losses that subtract large numbers.
    one_shape: all batches have the same shape, so that CPUs may compute in bfloat16 too.
    Models with `training_state()` / `load_training_state()` (EMA codebooks) are continued with it.
    Raises WeightsError when the checkpoint cannot be read, DataError without training clips.
    """
    optimiser = AdamW(
        (p for p in model.parameters() if p.requires_grad),
        rate=schedule.rate,
        betas=(0.9, 0.99),
        decay=schedule.decay,
    )
    history, averages = History(), Averages()
    state: dict[str, Any] = {"step": 0, "best": None, "best_state": None, "stale": 0}
    if checkpoint is not None and checkpoint.exists():
        _restore(checkpoint, model, optimiser, state, history, averages)
    batches = epoch_batches(lengths, schedule.batch, seed)
    for _ in range(state["step"]):
        next(batches)
    model.train()
    with torch.random.fork_rng():
        # If the checkpoint was written when patience ran out, training is finished.
        stop = _out_of_patience(schedule, state)
        while state["step"] < schedule.steps and not stop:
            step = state["step"]
            torch.manual_seed(step_seed(seed, step))
            generator = torch.Generator(device="cpu").manual_seed(step_seed(seed + 1, step))
            optimiser.rate = learning_rate(step, schedule)
            with mixed_precision(device, one_shape=one_shape) if mixed else nullcontext():
                loss, values = loss_of(next(batches), generator)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
            optimiser.step()
            averages.add(values)
            state["step"] = step + 1
            if state["step"] % schedule.evaluate_every == 0 or state["step"] == schedule.steps:
                for name, value in averages.drain().items():
                    history.add(state["step"], name, value)
                stop = _evaluate(model, validate, schedule, state, history)
                if curves is not None:
                    curves(history.rows)
            if progress is not None:
                progress(state["step"], schedule.steps)
            last = stop or state["step"] == schedule.steps
            if checkpoint is not None and (last or state["step"] % checkpoint_every == 0):
                _save(checkpoint, model, optimiser, state, history, averages)
    if schedule.patience and state["best_state"] is not None:
        model.load_state_dict(state["best_state"])
    model.eval()
    return Trained(history=history, best=state["best"], steps=state["step"])


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
    with torch.no_grad():
        value = validate()
    model.train()
    history.add(state["step"], "validation", value)
    if state["best"] is None or value < state["best"]:
        state["best"], state["stale"] = value, 0
        if schedule.patience:
            state["best_state"] = {k: v.detach().clone() for k, v in model.state_dict().items()}
    else:
        state["stale"] += 1
    return _out_of_patience(schedule, state)


def _out_of_patience(schedule: Schedule, state: dict[str, Any]) -> bool:
    return bool(schedule.patience) and state["stale"] >= schedule.patience


def _save(
    path: Path,
    model: nn.Module,
    optimiser: AdamW,
    state: dict[str, Any],
    history: History,
    averages: Averages,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = model.training_state() if isinstance(model, Stateful) else {}
    temporary = path.with_suffix(".partial")
    content = io.BytesIO()  # torch hides the reason when it cannot write to a file
    torch.save(
        {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "extra": extra,
            "state": state,
            "rows": history.rows,
            "averages": (averages.sums, averages.count),
        },
        content,
    )
    temporary.write_bytes(content.getbuffer())
    temporary.replace(path)


def _restore(
    path: Path,
    model: nn.Module,
    optimiser: AdamW,
    state: dict[str, Any],
    history: History,
    averages: Averages,
) -> None:
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        if isinstance(model, Stateful):
            model.load_training_state(saved["extra"])
        state.update(saved["state"])
        history.rows[:] = [(int(step), str(name), float(value)) for step, name, value in saved["rows"]]
        averages.sums, averages.count = dict(saved["averages"][0]), int(saved["averages"][1])
    except (*UNREADABLE, WeightsError) as error:
        raise WeightsError(
            f"training checkpoint {path} is damaged or of another network ({type(error).__name__}); "
            "delete it to train from the start"
        ) from error
