"""SPEED: retain outputs stay, forget outputs move as far as the null space lets them, and both follow the formula."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hmu_tasks.methods.shared.closed_form import Texts
from hmu_tasks.methods.speed import edit, null_space


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def projections() -> dict[str, nn.Linear]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return {"base": nn.Linear(8, 5), "residual": nn.Linear(8, 4)}


def texts() -> Texts:
    """Retain texts in the first five of eight directions; forget texts are retain texts and a sixth direction."""
    retain = torch.zeros(60, 8)
    retain[:, :5] = torch.randn(60, 5, generator=rng(2))
    forget = retain[:20].clone()
    forget[:, 5] = 2.0 + 0.1 * torch.randn(20, generator=rng(3))
    return Texts(forget, retain, retain[:20].clone())


def moved(edited: dict[str, nn.Linear], known: dict[str, nn.Linear], vectors: Tensor) -> float:
    with torch.no_grad():
        return max(float((edited[name](vectors) - known[name](vectors)).abs().max()) for name in known)


def test_retain_outputs_stay_and_the_concept_goes() -> None:
    known, given = projections(), texts()
    edited = edit(known, given, kept=0.999999, ridge=1e-9)
    assert moved(edited, known, given.retain) < 1e-5
    for name, linear in edited.items():
        with torch.no_grad():
            torch.testing.assert_close(linear(given.forget), known[name](given.target), atol=0.05, rtol=0)
        assert torch.equal(linear.bias, known[name].bias)
    assert moved(edited, known, torch.zeros(1, 8)) == 0.0


def test_the_change_is_the_least_squares_solution_in_the_null_space() -> None:
    known, given = projections(), texts()
    (name, linear), *_ = known.items()
    noise = 0.3 * torch.randn(60, 8, generator=rng(4))
    given = Texts(given.forget, given.retain + noise, given.target)
    found = edit(known, given, strength=0.7, kept=0.9, ridge=0.2)[name].weight - linear.weight
    free = null_space(given.retain, kept=0.9).numpy()
    assert 0 < free.shape[1] < 8
    weight = linear.weight.detach().double().numpy()
    forget, target = given.forget.double().numpy(), given.target.double().numpy()
    inner, n = forget @ free, len(forget)
    hold = np.sqrt(0.2 * np.square(given.retain.double().numpy()).mean()) * np.eye(free.shape[1])
    left = np.concatenate([inner / np.sqrt(n), hold])
    right = np.concatenate(
        [0.7 * (target - forget) @ weight.T / np.sqrt(n), np.zeros((free.shape[1], weight.shape[0]))]
    )
    expected = np.linalg.lstsq(left, right, rcond=None)[0].T @ free.T
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("kept", "width"), [(0.5, 7), (0.85, 5), (0.99, 1)])
def test_the_null_space_holds_what_is_left_of_the_energy(kept: float, width: int) -> None:
    """Energies 8, 4, 2, 1, 1/2, ... of axes: what is left is counted from the smallest."""
    axes = torch.diag(torch.tensor([2.0 ** (3 - i) for i in range(8)]).sqrt())
    free = null_space(axes, kept=kept)
    energy = float((axes.double() @ free).square().sum() / axes.square().sum())
    assert energy <= 1 - kept
    assert free.shape == (8, width)
    torch.testing.assert_close(free.T @ free, torch.eye(width, dtype=torch.float64))


def test_more_is_kept_than_with_less_to_keep() -> None:
    known, given = projections(), texts()
    noisy = Texts(given.forget, given.retain + 0.3 * torch.randn(60, 8, generator=rng(5)), given.target)
    changes: list[Any] = [moved(edit(known, noisy, kept=kept), known, noisy.retain) for kept in (0.5, 0.99)]
    assert changes[1] < changes[0]
    assert moved(edit(known, noisy, strength=0.0), known, noisy.forget) == 0.0
