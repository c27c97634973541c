"""Attacks on the embedded text: the closed form against brute force, the ball, the gradient, both models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hmu_tasks.methods.rece import adversarial
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.sampling import Negative
from hmu_tasks.models.text.embeddings import present
from hmu_tasks.probes.likelihood import guided_losses, padded_codes
from hmu_tasks.probes.vectors import (
    Losses,
    descend,
    imitated_text,
    imitation,
    scattered,
    shared_change,
    size,
    with_change,
    within_ball,
)
from hmu_tasks.runtime.errors import HmuError

SIZES: dict[str, Any] = {"codes": 12, "code_width": 8, "latent": 8, "layers": 1, "heads": 2, "feedforward": 8}
SIZES |= {"dropout": 0.0, "text_width": 6}


def layers(seed: int, *, width: int = 6) -> dict[str, nn.Linear]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return {"base": nn.Linear(width, 5).double(), "residual": nn.Linear(width, 4).double()}


def texts(n: int = 3, *, seed: int = 0) -> Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_closed_form_equals_brute_force() -> None:
    """Least squares over all projections at once, with the ridge as further rows."""
    edited, original, start = layers(1), layers(2), texts()
    found = imitation(edited, original, start, ridge=0.3)
    left = np.concatenate([m.weight.detach().numpy() for m in edited.values()])
    wanted = np.concatenate(
        [(original[n](start) - m.bias).detach().numpy() for n, m in edited.items()], axis=1
    )
    hold = np.sqrt(0.3 * np.square(left).sum() / 6) * np.eye(6)
    for row, aim, vector in zip(found.numpy(), wanted, start.numpy(), strict=True):
        best = np.linalg.lstsq(np.concatenate([left, hold]), np.concatenate([aim, hold @ vector]), rcond=None)
        np.testing.assert_allclose(row, best[0], atol=1e-9)


def test_without_hold_and_other_biases_it_is_the_vector_that_rece_erases() -> None:
    edited, original, start = layers(1), layers(2), texts()
    for name, linear in original.items():
        linear.bias = edited[name].bias
    weights = [[m.weight.detach() for m in some.values()] for some in (edited, original)]
    expected = adversarial(*weights, start, ridge=1e-12)
    torch.testing.assert_close(
        imitation(edited, original, start, ridge=1e-12), expected, atol=1e-6, rtol=1e-6
    )


def test_maps_that_did_not_change_are_no_target() -> None:
    assert torch.equal(imitation(layers(1), layers(1), texts(), ridge=0.01), texts())


def test_the_ball_is_respected_and_its_inside_left_alone() -> None:
    centres = texts(50)
    vectors = centres + texts(50, seed=1)
    pulled = within_ball(vectors, centres, radius=0.5)
    shares = (pulled - centres).norm(dim=1) / centres.norm(dim=1)
    assert float(shares.max()) <= 0.5 + 1e-12
    inside = (vectors - centres).norm(dim=1) <= 0.5 * centres.norm(dim=1)
    assert 0 < int(inside.sum()) < 50
    torch.testing.assert_close(pulled[inside], vectors[inside])


def _rows(places: Sequence[int]) -> slice:
    return slice(places[0], places[-1] + 1)


def test_descent_finds_the_best_point_of_the_ball_and_leaves_its_input() -> None:
    start, aim = texts(4), texts(4, seed=9) * 10
    before = start.clone()
    found = descend(
        start, lambda v, step, places: (v - aim[_rows(places)]).square().sum(dim=1), radius=0.4, steps=200
    )
    direction = (aim - start) / (aim - start).norm(dim=1, keepdim=True)
    expected = start + 0.4 * start.norm(dim=1, keepdim=True) * direction
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
    assert torch.equal(start, before)


def embedded() -> Tensor:
    """Three texts of 4, 0 and 2 words."""
    rows = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    rows[1, 1:] = 0
    rows[2, 3:] = 0
    return rows


def test_words_are_imitated_one_by_one_and_those_that_are_not_there_stay_so() -> None:
    text = embedded()
    edited, original = ({"sentence": layers(seed), "word": layers(seed + 10)} for seed in (1, 2))
    found = imitated_text(edited, original, text, ridge=0.3)
    assert torch.equal(present(found), present(text))
    for level, rows in (("sentence", (0, 0)), ("word", (2, 1))):
        one = imitation(edited[level], original[level], text[rows][None], ridge=0.3)
        torch.testing.assert_close(found[rows], one[0])
    del edited["word"], original["word"]  # of networks that read the sentence vector alone
    assert torch.equal(imitated_text(edited, original, text, ridge=0.3)[:, 1:], text[:, 1:])


def test_the_ball_and_the_descent_are_about_the_whole_text() -> None:
    text = embedded()
    pulled = within_ball(text + 3.0 * present(text)[..., None], text, radius=0.5)
    torch.testing.assert_close(size(pulled - text), 0.5 * size(text))
    aim = 10 * torch.ones_like(text)
    found = descend(
        text, lambda t, step, places: (t - aim[_rows(places)]).square().sum(dim=(1, 2)), radius=0.4, steps=200
    )
    assert torch.equal(present(found), present(text))
    torch.testing.assert_close(size(found - text), 0.4 * size(text), atol=1e-6, rtol=0)
    assert not (found[1, 1:]).any()


def test_starts_anew_find_what_the_prompt_itself_does_not_lead_to() -> None:
    """Two valleys, the deeper one on the other side of a ridge: only a start beyond it gets there."""
    text = torch.tensor([[4.0, 0.0], [0.0, 4.0]], dtype=torch.float64)[:, None]

    def losses(t: Tensor, step: int, places: Sequence[int] = (0, 1)) -> Tensor:
        del step
        away = (t - text[_rows(places)])[:, 0].sum(dim=1)
        return torch.where(away > -0.5, (away - 1.0).square(), (away + 1.5).square() - 9.0)

    alone = descend(text, losses, radius=0.9, steps=40)
    starts = scattered(text, radius=0.9, count=12, seed=0)
    for start in starts:
        assert (size(start - text) <= 0.9 * size(text) + 1e-9).all()
    found = descend(text, losses, radius=0.9, steps=40, starts=starts)
    assert (losses(alone, 0) >= 0).all()
    assert (losses(found, 0) < -8.5).all()
    assert all(
        torch.equal(present(one), present(embedded()))
        for one in scattered(embedded(), radius=1.0, count=2, seed=0)
    )


def test_one_change_serves_every_text_and_stays_in_each_ball() -> None:
    text, aim = embedded(), torch.tensor([3.0, 0, 0, 0, 0, 0], dtype=torch.float64)

    def losses(t: Tensor, step: int, places: Sequence[int]) -> Tensor:
        del step
        own = text[_rows(places)]
        return (t[:, 0] - own[:, 0] - aim).square().sum(dim=1) + (t[:, 1:] - own[:, 1:]).square().sum(
            dim=(1, 2)
        )

    change = shared_change(text, losses, radius=0.5, steps=60)
    assert change.shape == (2, 6)
    assert float(torch.cosine_similarity(change[0], aim, dim=0)) > 0.99
    assert float(change[1].norm()) < 0.1 * float(change[0].norm())
    moved = with_change(text, change, radius=0.5)
    assert torch.equal(present(moved), present(text))
    assert (size(moved - text) <= 0.5 * size(text) + 1e-9).all()


@pytest.mark.parametrize("starts", [0, 2])
def test_texts_that_do_not_fit_at_once_are_moved_in_parts(
    starts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    text, aim = texts(5), texts(5, seed=9) * 10
    room = len(text)

    def losses(t: Tensor, step: int, places: Sequence[int]) -> Tensor:
        assert len(t) == len(places)
        if len(t) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return (t - aim[_rows(places)]).square().flatten(1).sum(dim=1) * (1 + step)

    more = scattered(text[:, None], radius=0.4, count=starts, seed=0)
    others = [one[:, 0] for one in more]
    expected = descend(text, losses, radius=0.4, steps=9, starts=others)
    together = shared_change(text[:, None], flat(losses), radius=0.4, steps=9)
    room = 2
    capsys.readouterr()
    assert torch.equal(descend(text, losses, radius=0.4, steps=9, starts=others), expected)
    told = "note: 5 prompts do not fit into the GPU's memory at once; now 2 at a time"
    assert capsys.readouterr().err.splitlines() == [told]  # at the first step, and never again
    torch.testing.assert_close(
        shared_change(text[:, None], flat(losses), radius=0.4, steps=9), together, rtol=1e-12, atol=1e-12
    )
    assert capsys.readouterr().err.splitlines() == [told.replace("prompts", "texts")]
    room = 0
    with pytest.raises(HmuError, match="one of the prompts does not fit"):
        descend(text, losses, radius=0.4, steps=9)


def flat(losses: Losses) -> Losses:
    """The losses of sentence vectors for texts of one row."""
    return lambda text, step, places: losses(text[:, 0], step, places)


@pytest.mark.parametrize("kind", [MaskTransformer, BammTransformer])
@pytest.mark.parametrize("negative", [None, Negative(torch.ones(6), 0.3)])
def test_steering_makes_the_codes_more_likely(kind: type[Any], negative: Negative | None) -> None:
    base = kind({MaskTransformer: MaskTransformerConfig, BammTransformer: BammConfig}[kind](**SIZES), seed=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        base.cond_emb.weight.data = torch.randn(8, 6)  # an untrained projection hardly reads the text
    base.eval().requires_grad_(False).negative = negative
    rng = np.random.default_rng(0)
    codes, lengths = padded_codes([rng.integers(12, size=(t, 2)) for t in (3, 7, 5)], torch.device("cpu"))
    start = texts().float()

    def loss(vectors: Tensor, seed: int, places: Sequence[int] = range(3)) -> Tensor:
        assert len(vectors) == len(places) == 3
        stream = torch.Generator().manual_seed(seed)
        return guided_losses(base, codes, vectors, lengths, cfg_scale=2.0, generator=stream)

    found = descend(start, loss, radius=0.5, steps=12)
    before, after = (sum(loss(text, s) for s in range(50, 70)) for text in (start, found))
    assert before.shape == (3,)
    assert float(after.sum()) < float(before.sum())
    assert all(not p.requires_grad and p.grad is None for p in base.parameters())


def test_the_loss_without_guidance_is_the_training_loss_of_one_row() -> None:
    base = MaskTransformer(MaskTransformerConfig(**SIZES), seed=3).eval()
    codes, lengths = padded_codes([np.arange(14).reshape(7, 2) % 12], torch.device("cpu"))
    (ours,) = guided_losses(
        base, codes, texts(1).float(), lengths, cfg_scale=1.0, generator=torch.Generator().manual_seed(4)
    )
    theirs = base.training_loss(codes, texts(1).float(), lengths, torch.Generator().manual_seed(4)).loss
    torch.testing.assert_close(ours, theirs)
