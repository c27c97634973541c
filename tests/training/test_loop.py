"""The training loop: continuing from a checkpoint changes nothing, and what it keeps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.training.loop import checkpoint
from hmu_tasks.training.loop.fit import (
    Schedule,
    Trained,
    fit,
)
from hmu_tasks.training.loop.history import Averages, History, Values

CPU = torch.device("cpu")
SCHEDULE = Schedule(steps=12, batch=4, rate=0.01, warmup=3, evaluate_every=4)
TOKENIZER = TokenizerConfig(
    features=6,
    width=8,
    code_width=4,
    codes=8,
    quantizers=2,
    depth=1,
    positions_start=0,
    positions_stop=3,
    dead_below=0.2,
)


def after(every: int) -> Callable[[int], bool]:
    """Save after every so many steps."""
    return lambda step: step % every == 0


class StoppedError(Exception):
    """A run that was killed."""


def data() -> Tensor:
    return torch.randn(14, 16, 6, generator=torch.Generator().manual_seed(3))


def dense() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 6))


def tokenizer() -> nn.Module:
    return RVQVAE(TOKENIZER)


def run(
    model: nn.Module,
    *,
    schedule: Schedule = SCHEDULE,
    values: list[float] | None = None,
    stop_at: int | None = None,
    start: int = 0,
    seen: list[list[int]] | None = None,
    **knobs: object,
) -> Trained:
    """Train; `values` are the validation losses by evaluation, the run is killed after step `stop_at`."""
    clips = data()

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        if seen is not None:
            seen.append(rows.tolist())
        if isinstance(model, RVQVAE):
            loss = model.training_loss(clips[rows], generator=generator).loss
        else:
            noise = torch.randn(clips[rows].shape, generator=generator)
            loss = (model(clips[rows] + noise) - clips[rows]).square().mean()
        return loss, {"loss": loss, "twice": 2 * loss}

    steps = [start]

    def validate() -> float:
        assert not model.training
        if values is not None:
            return values[steps[-1] // schedule.evaluate_every]
        torch.rand(3)  # random numbers of validation must not affect training
        return float(sum(p.abs().sum() for p in model.state_dict().values()))

    def progress(done: int, total: int) -> None:
        assert total == schedule.steps
        steps.append(done)
        if done == stop_at:
            raise StoppedError

    return fit(
        model,
        loss_of,
        np.arange(14) % 3,
        schedule=schedule,
        seed=5,
        device=CPU,
        validate=validate,
        progress=progress,
        **knobs,  # type: ignore[arg-type]
    )


def content(model: nn.Module) -> dict[str, bytes]:
    tensors = dict(model.state_dict())
    if isinstance(model, RVQVAE):
        tensors |= model.training_state()
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.parametrize("make", [dense, tokenizer])
@pytest.mark.parametrize(("stop_at", "every"), [(1, 1), (5, 2), (7, 3), (8, 4), (11, 5)])
def test_a_killed_run_goes_on_to_the_same_bytes(
    tmp_path: Path, make: Callable[[], nn.Module], stop_at: int, every: int
) -> None:
    undisturbed, killed, resumed = make(), make(), make()
    rows: list[list[int]] = []
    expected = run(undisturbed, seen=rows)
    path = tmp_path / "scratch" / "checkpoint.pt"
    with pytest.raises(StoppedError):
        run(killed, stop_at=stop_at, checkpoint=path, checkpoint_due=after(every))
    torch.rand(17)  # the state of the global generator does not matter
    later: list[list[int]] = []
    found = run(resumed, checkpoint=path, checkpoint_due=after(every), seen=later)
    assert content(resumed) == content(undisturbed)
    assert found == expected
    assert later == rows[len(rows) - len(later) :]
    assert len(later) == SCHEDULE.steps - (stop_at - 1) // every * every
    assert sorted(p.name for p in path.parent.iterdir()) == ["checkpoint.pt"]


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    run(dense())
    assert torch.equal(torch.rand(2), expected)


def test_history_holds_means_between_evaluations() -> None:
    history = run(dense(), schedule=replace(SCHEDULE, steps=10)).history
    assert [(step, name) for step, name, _ in history.rows] == [
        (step, name) for step in (4, 8, 10) for name in ("loss", "twice", "validation")
    ]
    single = run(dense(), schedule=replace(SCHEDULE, steps=10, evaluate_every=1)).history
    losses = [value for _, name, value in single.rows if name == "loss"]
    means = [value for _, name, value in history.rows if name == "loss"]
    # Evaluating more often changes the curve's points, not the training.
    assert means == pytest.approx([np.mean(losses[:4]), np.mean(losses[4:8]), np.mean(losses[8:])])


PATIENT = replace(SCHEDULE, steps=40, evaluate_every=2, patience=2)
FALLING = [5.0, 3.0, 4.0, 2.0, 2.5, 2.0, 1.0, 0.5] + [0.1] * 20


def test_patience_stops_and_keeps_the_best_weights() -> None:
    model, best = dense(), dense()
    found = run(model, schedule=PATIENT, values=FALLING)
    assert (found.steps, found.best) == (12, 2.0)
    with pytest.raises(StoppedError):
        run(best, schedule=PATIENT, values=FALLING, stop_at=8)
    assert content(model) == content(best)
    last = dense()
    run(last, schedule=replace(PATIENT, steps=12, patience=0, evaluate_every=2), values=FALLING)
    assert content(last) != content(model)


@pytest.mark.parametrize("stop_at", [3, 8, 9, 10, 11, 12])
def test_patience_survives_a_kill(tmp_path: Path, stop_at: int) -> None:
    undisturbed, resumed = dense(), dense()
    expected = run(undisturbed, schedule=PATIENT, values=FALLING)
    knobs = {"schedule": PATIENT, "checkpoint": tmp_path / "c.pt", "checkpoint_due": after(1)}
    with pytest.raises(StoppedError):
        run(dense(), values=FALLING, stop_at=stop_at, **knobs)  # type: ignore[arg-type]
    assert run(resumed, values=FALLING, start=stop_at - 1, **knobs) == expected  # type: ignore[arg-type]
    assert content(resumed) == content(undisturbed)


def test_a_run_that_had_ended_by_patience_stays_ended(tmp_path: Path) -> None:
    first, again = dense(), dense()
    knobs = {"schedule": PATIENT, "checkpoint": tmp_path / "c.pt", "checkpoint_due": after(1000)}
    expected = run(first, values=FALLING, **knobs)  # type: ignore[arg-type]
    assert (tmp_path / "c.pt").exists()
    assert run(again, values=FALLING, **knobs) == expected  # type: ignore[arg-type]
    assert content(again) == content(first)


@pytest.mark.parametrize("make", [dense, tokenizer])
def test_a_finished_run_is_found_finished(tmp_path: Path, make: Callable[[], nn.Module]) -> None:
    first, again = make(), make()
    expected = run(first, checkpoint=tmp_path / "c.pt")
    steps: list[list[int]] = []
    assert run(again, checkpoint=tmp_path / "c.pt", seen=steps) == expected
    assert steps == []
    assert content(again) == content(first)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "flipped", "foreign", "list", "extra"])
def test_a_checkpoint_that_cannot_be_continued_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c.pt"
    run(tokenizer(), checkpoint=path, checkpoint_due=after(12))
    whole = path.read_bytes()
    saved = torch.load(path, weights_only=True)
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_bytes(b"no checkpoint at all")
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(b"\x80\x02" + whole[2:])
        case "foreign":
            torch.save({**saved, "model": dense().state_dict()}, path)
        case "list":
            torch.save([1, 2], path)
        case "extra":
            torch.save({**saved, "extra": {}}, path)
    with pytest.raises(WeightsError, match=r"c\.pt is damaged.*delete it"):
        run(tokenizer(), checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_ends_the_training(tmp_path: Path) -> None:
    """Although a thread writes it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        run(dense(), checkpoint=tmp_path / "file" / "c.pt", checkpoint_due=after(4))


def test_a_checkpoint_holds_the_step_that_it_was_taken_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much later it is written."""
    held: list[dict[str, Any]] = []
    monkeypatch.setattr(checkpoint, "_write", lambda _, content: held.append(content))
    run(tokenizer(), checkpoint=tmp_path / "c.pt", checkpoint_due=after(4))
    assert [one["state"]["step"] for one in held] == [4, 8, 12]
    for one in held:
        killed = tokenizer()
        with pytest.raises(StoppedError):
            run(killed, stop_at=one["state"]["step"])
        saved = {**one["model"], **one["extra"]}
        assert {name: tensor.numpy().tobytes() for name, tensor in saved.items()} == content(killed)


def test_values_are_averaged_as_tensors_and_as_numbers() -> None:
    sums = Averages(CPU)
    for value in (0.1, 0.2, 0.4):
        sums.add({"tensor": torch.tensor(value), "number": value})
        sums.count += 1
    exact = [float(torch.tensor(value)) for value in (0.1, 0.2, 0.4)]
    assert sums.sums() == {"tensor": sum(exact), "number": 0.1 + 0.2 + 0.4}
    again = Averages(CPU)
    again.load(sums.sums(), sums.count)
    assert again.drain() == sums.drain() == {"tensor": sum(exact) / 3, "number": (0.1 + 0.2 + 0.4) / 3}
    assert sums.drain() == {"tensor": 0.0, "number": 0.0}


def test_the_history_is_written_as_pandas_writes_it() -> None:
    values = [1.0, 1 / 3, 1e-9, 123456789.0, 0.1 + 0.2, -0.0, float("inf"), float("nan")]
    history = History([(step, f"loss{step}", value) for step, value in enumerate(values)])
    table = pd.DataFrame(history.rows, columns=["step", "name", "value"])
    assert history.csv() == table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    assert History().csv() == "step,name,value\n"
