"""Linear erasure: no linear classifier is left, and the mean retain text and the empty condition stay in place."""

import torch
from test_uce import layers, texts
from torch import nn

from hmu_tasks.methods import erasure
from hmu_tasks.methods.shared.closed_form import Texts

__all__ = ["layers", "texts"]


def test_both_sets_have_one_mean_and_retain_stays(layers: dict[str, nn.Linear], texts: Texts) -> None:
    edited = erasure.edit(layers, texts)
    with torch.no_grad():
        for name, linear in edited.items():
            forget, retain = linear(texts.forget).mean(dim=0), linear(texts.retain).mean(dim=0)
            torch.testing.assert_close(forget, retain, atol=1e-4, rtol=0)
            torch.testing.assert_close(retain, layers[name](texts.retain).mean(dim=0), atol=1e-4, rtol=0)
            assert torch.equal(linear(torch.zeros(16)), layers[name](torch.zeros(16)))
            change = linear.weight - layers[name].weight
            assert torch.linalg.matrix_rank(change, rtol=1e-4) == 1


def test_the_detector_separates_the_sets(texts: Texts) -> None:
    direction, detector = (found[:, 0] for found in erasure.eraser(texts))
    assert float(direction @ detector) == 1.0 or abs(float(direction @ detector) - 1.0) < 1e-9
    assert abs(float(texts.retain.double().mean(dim=0) @ detector)) < 1e-9
    hits = (texts.forget.double() @ detector > 0.5).double().mean()
    false = (texts.retain.double() @ detector > 0.5).double().mean()
    assert hits > 0.9
    assert false < 0.1


def test_kinds_of_texts_lose_their_own_differences() -> None:
    """Two kinds whose forget texts lie in opposite directions: their means alone tell nothing of it."""
    random = torch.randn(400, 16, generator=torch.Generator().manual_seed(0))
    kind = torch.arange(400) % 2 == 0
    forget_too = torch.arange(400) < 200
    random[:, 0] += 20 * kind
    random[:, 1] += 6 * forget_too * torch.where(kind, 1, -1)
    random[:, 2] += 1.0 * forget_too
    texts = Texts(random[:200], random[200:], random[:200])

    def gaps(kinds: int) -> list[float]:
        directions, detectors = erasure.eraser(texts, kinds=kinds)
        erased = random.double() - random.double() @ detectors @ directions.T
        assert torch.linalg.matrix_rank(directions) <= 1 + kinds
        parts = [(erased[:200][kind[:200] == k], erased[200:][kind[200:] == k]) for k in (True, False)]
        return [float((one.mean(dim=0) - other.mean(dim=0)).norm()) for one, other in parts]

    assert min(gaps(1)) > 4
    assert max(gaps(2)) < 1e-6
    detectors = erasure.eraser(texts, kinds=2)[1]
    assert float((texts.retain.double().mean(dim=0) @ detectors).abs().max()) < 1e-6


def test_no_strength_is_the_identity_and_the_input_stays(layers: dict[str, nn.Linear], texts: Texts) -> None:
    before = {name: linear.weight.clone() for name, linear in layers.items()}
    same = erasure.edit(layers, texts, strength=0.0)
    erasure.edit(layers, texts, strength=1.3)
    for name, linear in layers.items():
        assert torch.equal(linear.weight, before[name])
        assert torch.equal(same[name].weight, before[name])
