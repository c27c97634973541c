"""Training on: one run for all strengths, continued after a kill to the same bytes, the input untouched."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hmu_tasks.methods.shared.tuning import Objective, tune
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.training.loop import fit
from hmu_tasks.training.loop.history import Values

CPU = torch.device("cpu")
State = dict[int, dict[str, Tensor]]


class Killed(BaseException):
    """Stands for the end of the process in the middle of a step."""


def network() -> MaskTransformer:
    config = MaskTransformerConfig(
        codes=8, code_width=4, latent=8, layers=1, heads=2, feedforward=8, text_width=4
    )
    return MaskTransformer(config, seed=1).requires_grad_(False).eval()


def objective(*, die_at: int | None = None) -> Objective:
    """Loss on codes resampled at each step; the process may die at one of them."""
    taken = 0

    def loss_of(student: CodeNetwork, rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        nonlocal taken
        taken += 1
        if taken == die_at:
            raise Killed
        codes = torch.from_numpy(rows)[:, None].remainder(8).repeat(1, 5)[..., None]
        lengths = torch.full((len(rows),), 5)
        loss = student.training_loss(codes, torch.ones(len(rows), 4), lengths, generator).loss
        return loss, {"loss": loss}

    return Objective(loss_of, np.full(12, 5))


def run(
    scratch: Path,
    *,
    steps: tuple[int, ...],
    die_at: int | None = None,
    given: MaskTransformer | None = None,
    rate: float = 0.01,
) -> State:
    return tune(
        given or network(),
        objective(die_at=die_at),
        steps=steps,
        batch=4,
        rate=rate,
        seed=7,
        device=CPU,
        scratch=scratch,
        progress=None,
    )


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_one_run_gives_every_strength(tmp_path: Path) -> None:
    both = run(tmp_path / "both", steps=(2, 5))
    assert list(both) == [2, 5]
    for count in both:
        assert equal(run(tmp_path / f"only-{count}", steps=(count,))[count], both[count])
    assert not equal(both[2], both[5])
    assert not equal(both[2], network().state_dict())


# The first kill is before any checkpoint, the second after one and the weights of step 11.
@pytest.mark.parametrize(("die_at", "seconds"), [(6, 1000.0), (13, 0.0)])
def test_a_killed_training_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, die_at: int, seconds: float
) -> None:
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", seconds)
    steps = (4, 11, 15)
    undisturbed = run(tmp_path / "a", steps=steps)
    with pytest.raises(Killed):
        run(tmp_path / "b", steps=steps, die_at=die_at)
    assert (tmp_path / "b" / "checkpoint.pt").exists() == (die_at > 10)
    again = run(tmp_path / "b", steps=steps)
    assert all(equal(again[count], undisturbed[count]) for count in steps)
    assert all(equal(run(tmp_path / "b", steps=steps)[count], undisturbed[count]) for count in steps)


def test_the_input_stays_as_it_is(tmp_path: Path) -> None:
    given = network()
    found = run(tmp_path, steps=(1,), given=given, rate=0.1)
    assert equal(given.state_dict(), network().state_dict())
    assert not any(parameter.requires_grad for parameter in given.parameters())
    assert not equal(found[1], network().state_dict())


def test_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match="delete it to train from the start"):
        run(tmp_path, steps=(1,))
