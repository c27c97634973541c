"""UCE: released weights, the repaired closed form, and what an edit may touch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hmu_tasks.methods.shared import unified
from hmu_tasks.methods.shared.closed_form import Term, Texts, nearest_retain, solve, towards_retain
from hmu_tasks.methods.shared.text_edits import scramble
from hmu_tasks.runtime.errors import ConfigError


def official_layers() -> dict[str, nn.Linear]:
    layers = {}
    for name, seed in (("base", 710), ("residual", 711)):
        rng = np.random.default_rng(seed)
        linear = nn.Linear(512, 384)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy((rng.standard_normal((384, 512)) * 0.02).astype(np.float32)))
            linear.bias.copy_(torch.from_numpy((rng.standard_normal(384) * 0.02).astype(np.float32)))
        layers[name] = linear
    return layers


def compare(edited: dict[str, nn.Linear], golden: Any, case: str, tolerance: float) -> None:
    for layer, linear in enumerate(edited.values()):
        rows = linear.weight.detach()[:: int(golden["row_stride"])]
        expected = torch.from_numpy(golden[f"{case}_W{layer}_rows_f64"])
        torch.testing.assert_close(rows, expected, atol=tolerance, rtol=0)
        whole = linear.weight.detach().double()
        probe = torch.from_numpy(np.random.default_rng(720).standard_normal(512))
        torch.testing.assert_close(
            whole @ probe, torch.from_numpy(golden[f"{case}_W{layer}_probe"]), atol=50 * tolerance, rtol=0
        )
        assert float(whole.norm()) == pytest.approx(float(golden[f"{case}_W{layer}_fro"]), abs=50 * tolerance)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("case", "knobs"),
    [
        ("tensor_default", {}),
        ("tensor_p05", {"preserve": 0.5}),
        ("tensor_l05_e1", {"ridge": 0.5, "erase": 1.0}),
        ("replace_default", {"technique": "replace"}),
        ("replace_e1_p1", {"technique": "replace", "erase": 1.0, "preserve": 1.0}),
    ],
)
def test_released_edit(shared: Path, case: str, knobs: dict[str, Any]) -> None:
    golden = np.load(shared / "golden" / "g_uce_rece.npz")
    forget, retain, target = (torch.from_numpy(golden[name]) for name in ("forget", "retain", "target"))
    layers = official_layers()
    edited = unified.edit_as_released(layers, forget, retain, target[0], **knobs)
    compare(edited, golden, case, 5e-5)
    for name, linear in edited.items():
        assert torch.equal(linear.bias, layers[name].bias)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def layers() -> dict[str, nn.Linear]:
    """Two linear layers with biases as large as their outputs."""
    found = {"base": nn.Linear(16, 8), "residual": nn.Linear(16, 4)}
    for seed, linear in enumerate(found.values()):
        with torch.no_grad():
            linear.weight.copy_(random(*linear.weight.shape, seed=seed))
            linear.bias.copy_(3 * random(*linear.bias.shape, seed=10 + seed))
    return found


@pytest.fixture
def texts() -> Texts:
    """Forget texts lie in a direction of their own, and are to lose it."""
    axis = torch.zeros(16)
    axis[0] = 4.0
    forget, retain = random(40, 16, seed=2), random(60, 16, seed=3)
    retain[:, 0] *= 0.1
    return Texts(forget + axis, retain, towards_retain(forget + axis, retain))


def gaps(edited: dict[str, nn.Linear], layers: dict[str, nn.Linear], texts: Texts) -> tuple[float, float]:
    """Distance of forget texts to the target and of retain texts to themselves, relative to the old outputs."""
    linear, old = edited["base"], layers["base"]
    with torch.no_grad():
        to_target = (linear(texts.forget) - old(texts.target)).norm() / (
            old(texts.forget) - old(texts.target)
        ).norm()
        drift = (linear(texts.retain) - old(texts.retain)).norm() / (old(texts.retain) - old.bias).norm()
    return float(to_target), float(drift)


def test_the_bias_takes_no_part(layers: dict[str, nn.Linear], texts: Texts) -> None:
    """The repaired edit is the same for any bias; the released one drifts by it on what is to stay."""
    unbiased = {name: nn.Linear(16, linear.out_features) for name, linear in layers.items()}
    for name, linear in unbiased.items():
        linear.weight = layers[name].weight
        nn.init.zeros_(linear.bias)
    with_bias, without = (unified.edit(chosen, texts) for chosen in (layers, unbiased))
    for name in layers:
        assert torch.equal(with_bias[name].weight, without[name].weight)
        assert torch.equal(with_bias[name].bias, layers[name].bias)
    target = texts.retain.mean(dim=0)
    released = [
        unified.edit_as_released(chosen, texts.forget, texts.retain, target) for chosen in (layers, unbiased)
    ]
    assert not torch.allclose(released[0]["base"].weight, released[1]["base"].weight, atol=0.1)
    assert gaps(with_bias, layers, texts)[1] < 0.5 * gaps(released[0], layers, texts)[1]


def test_more_strength_forgets_more(layers: dict[str, nn.Linear], texts: Texts) -> None:
    found = [gaps(unified.edit(layers, texts, strength=s), layers, texts) for s in (0.0, 0.5, 1.0)]
    assert found[0] == (1.0, 0.0)
    assert found[0][0] > found[1][0] > found[2][0]
    assert found[2][1] < 0.5
    careful = unified.edit(layers, texts, preserve=100.0)
    assert gaps(careful, layers, texts)[1] < 0.5 * found[2][1]


def test_scrambled_texts_are_preserved_and_nothing_else_is_read_from_them(
    layers: dict[str, nn.Linear], texts: Texts
) -> None:
    odd = random(50, 16, seed=9)
    odd[:, 0] -= 2.0  # on the other side of the concept's direction, where no retain text is
    plain, careful = (unified.edit(layers, one, ridge=1e-4) for one in (texts, replace(texts, scrambled=odd)))
    old = layers["base"]
    with torch.no_grad():
        drift = [float((edited["base"](odd) - old(odd)).norm()) for edited in (plain, careful)]
    assert drift[1] < 0.85 * drift[0]
    assert gaps(careful, layers, texts)[0] < 0.6
    assert torch.equal(texts.kept, texts.retain)


def test_scrambling_keeps_the_lengths_of_words_and_replaces_about_half() -> None:
    text = "a person walks forward slowly and then turns around " * 20
    found = scramble(text, np.random.default_rng(0)).split()
    assert [len(word) for word in found] == [len(word) for word in text.split()]
    assert 0.4 < np.mean([a == b for a, b in zip(found, text.split(), strict=True)]) < 0.6


def test_no_strength_is_the_identity_and_the_input_stays(layers: dict[str, nn.Linear], texts: Texts) -> None:
    before = {name: linear.weight.clone() for name, linear in layers.items()}
    same = unified.edit(layers, texts, strength=0.0)
    unified.edit(layers, texts, strength=1.5)
    for name, linear in layers.items():
        assert torch.equal(linear.weight, before[name])
        assert torch.equal(same[name].weight, before[name])
        assert same[name].weight.data_ptr() != linear.weight.data_ptr()


def test_the_solution_is_that_of_the_normal_equation() -> None:
    weight, texts, outputs = random(3, 5, seed=0), random(7, 5, seed=1), random(7, 3, seed=2)
    found = solve(weight, [Term(texts, outputs, 0.7)], ridge=0.2)
    left = 0.2 * torch.eye(5) + 0.7 * texts.T @ texts
    right = 0.2 * weight + 0.7 * outputs.T @ texts
    torch.testing.assert_close(found, right @ left.inverse(), atol=1e-5, rtol=0)


def test_the_nearest_target_is_a_retain_text_of_the_same_kind() -> None:
    """Forget texts are retain texts, moved together: each finds its own."""
    retain = random(50, 8, seed=0)
    forget = retain[7:30] + 5.0
    found = nearest_retain(forget, retain)
    assert {tuple(row) for row in found.tolist()} <= {tuple(row) for row in retain.tolist()}
    assert (found == retain[7:30]).all(dim=1).float().mean() > 0.7


def test_texts_must_fit() -> None:
    with pytest.raises(ConfigError, match="forget and retain texts"):
        Texts(torch.zeros(0, 4), torch.zeros(3, 4), torch.zeros(0, 4))
    with pytest.raises(ValueError, match="one encoder"):
        Texts(torch.zeros(2, 5), torch.zeros(3, 4), torch.zeros(2, 5))
