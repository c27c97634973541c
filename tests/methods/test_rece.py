"""RECE: released weights and adversarial vectors, and an attack that the repaired form resists."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_uce import compare, gaps, layers, official_layers, texts
from torch import nn

from hmu_tasks.methods import rece
from hmu_tasks.methods.shared import unified
from hmu_tasks.methods.shared.closed_form import Texts

__all__ = ["layers", "texts"]


@pytest.mark.parity
def test_released_adversarial_vector(shared: Path) -> None:
    golden = np.load(shared / "golden" / "g_uce_rece.npz")
    weights = [linear.weight.detach() for linear in official_layers().values()]
    for ridge in (0.001, 0.1):
        found = rece.adversarial(weights, weights, torch.from_numpy(golden["forget"][:1]), ridge=ridge)
        expected = torch.from_numpy(golden[f"closeform_{ridge}_f64"]).float()
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


@pytest.mark.parity
@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("preserve", [0.1, 0.5])
def test_released_edit(shared: Path, rounds: int, preserve: float) -> None:
    golden = np.load(shared / "golden" / "g_uce_rece.npz")
    forget, retain, target = (torch.from_numpy(golden[name]) for name in ("forget", "retain", "target"))
    edited = rece.edit_as_released(
        official_layers(), forget, retain, target[0], rounds=rounds, preserve=preserve
    )
    compare(edited, golden, f"rece{rounds}_p0{round(10 * preserve)}", 5e-5)


def weights(projections: dict[str, nn.Linear]) -> list[torch.Tensor]:
    return [linear.weight.detach() for linear in projections.values()]


def test_rounds_close_what_uce_leaves_open(layers: dict[str, nn.Linear], texts: Texts) -> None:
    """Vectors that evoke the concept after UCE do so no more, and retain texts still read as before."""
    plain, reliable = unified.edit(layers, texts), rece.edit(layers, texts, rounds=1, adversarial_ridge=0.02)
    attack = rece.adversarial(weights(plain), weights(layers), texts.forget, ridge=0.1)
    for new, old, safe in zip(weights(reliable), weights(layers), weights(plain), strict=True):
        concept = texts.forget @ old.T
        spread = (concept - texts.target @ old.T).norm()
        assert (attack @ safe.T - concept).norm() < 0.2 * spread
        assert (attack @ new.T - concept).norm() > 0.5 * spread
    assert gaps(reliable, layers, texts)[1] < 0.6
    for name in layers:
        assert torch.equal(rece.edit(layers, texts, rounds=0)[name].weight, plain[name].weight)


def test_no_strength_is_the_identity_and_the_input_stays(layers: dict[str, nn.Linear], texts: Texts) -> None:
    before = {name: linear.weight.clone() for name, linear in layers.items()}
    same = rece.edit(layers, texts, strength=0.0)
    rece.edit(layers, texts, strength=1.0)
    for name, linear in layers.items():
        assert torch.equal(linear.weight, before[name])
        assert torch.equal(same[name].weight, before[name])
