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
    direction, detector = erasure.eraser(texts)
    assert float(direction @ detector) == 1.0 or abs(float(direction @ detector) - 1.0) < 1e-9
    assert abs(float(texts.retain.double().mean(dim=0) @ detector)) < 1e-9
    hits = (texts.forget.double() @ detector > 0.5).double().mean()
    false = (texts.retain.double() @ detector > 0.5).double().mean()
    assert hits > 0.9
    assert false < 0.1


def test_no_strength_is_the_identity_and_the_input_stays(layers: dict[str, nn.Linear], texts: Texts) -> None:
    before = {name: linear.weight.clone() for name, linear in layers.items()}
    same = erasure.edit(layers, texts, strength=0.0)
    erasure.edit(layers, texts, strength=1.3)
    for name, linear in layers.items():
        assert torch.equal(linear.weight, before[name])
        assert torch.equal(same[name].weight, before[name])
