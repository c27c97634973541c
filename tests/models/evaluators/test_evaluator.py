from pathlib import Path

import numpy as np
import pytest
import torch
from official_golden import fill, golden, manifest, shapes
from torch.nn import functional

from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig, contrastive_loss
from hmu_tasks.runtime.errors import DataError

SMALL = EvaluatorConfig(
    features=20, movement_width=12, motion_hidden=10, text_hidden=8, width=6, word_width=9, max_frames=40
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small() -> Evaluator:
    return Evaluator(SMALL).eval()


def inputs(frames: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.randn(5, frames, 20, generator=generator(1))
    return features, torch.tensor([16, 40, 8, 30, 23])


@pytest.mark.parity
def test_official_keys_and_embeddings(shared: Path) -> None:
    network = Evaluator(EvaluatorConfig())
    parts = {
        "movement": network.movement_encoder,
        "motion": network.motion_encoder,
        "text": network.text_encoder,
    }
    for name, part in parts.items():
        fill(part)
        assert shapes(part) == manifest(shared, f"evaluator_{name}_encoder")
    network.eval()
    expected = golden(shared, "f_evaluator")
    features = torch.from_numpy(expected["motions_f16"]).float()
    lengths = torch.from_numpy(expected["lens"])
    close = {"atol": 5e-6, "rtol": 0.0}

    def given(name: str) -> torch.Tensor:
        return torch.from_numpy(expected[name])

    with torch.no_grad():
        embedded = network.embed_motion(features, lengths)
        torch.testing.assert_close(embedded, given("motion_emb_input_order"), **close)
        order = torch.from_numpy(np.ascontiguousarray(expected["align_idx"]))
        torch.testing.assert_close(embedded[order], given("motion_emb_sorted"), **close)
        movement = network.movement_encoder(features[[0, 2], :, :-4])
        torch.testing.assert_close(movement, given("movement_row0_2"), **close)
        classes = functional.one_hot(given("pos_idx").long(), 15).float()
        words = given("word_embs_f16").float()
        text = network.embed_text(words, classes, given("sent_len"))
        torch.testing.assert_close(text, given("text_emb_input_order"), **close)
        torch.testing.assert_close(text[order], given("co_text_emb_sorted"), **close)
        filled = features[:1].clone()
        filled[0, lengths[0] :] = 3.0
        leak = network.embed_motion(filled, lengths[:1], zero_padding=False)
        torch.testing.assert_close(leak, given("pad_leak_row0"), **close)
        torch.testing.assert_close(network.embed_motion(filled, lengths[:1]), embedded[:1], **close)


@torch.no_grad()
def test_motion_embeddings_come_in_input_order_whatever_the_padding() -> None:
    network = small()
    features, lengths = inputs()
    together = network.embed_motion(features, lengths)
    for row, length in enumerate(lengths.tolist()):
        own = slice(row, row + 1)
        for frames in (length, min(length + 3, 40), 40):
            alone = network.embed_motion(features[own, :frames], lengths[own])
            torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=1e-5)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(
        network.embed_motion(features[order], lengths[order]), together[order], atol=1e-6, rtol=1e-5
    )


@torch.no_grad()
def test_what_lies_after_the_length_counts_only_when_asked_for() -> None:
    network = small()
    features, lengths = inputs()
    other = features.clone()
    for row, length in enumerate(lengths.tolist()):
        other[row, length:] = 7.0
    assert torch.equal(network.embed_motion(features, lengths), network.embed_motion(other, lengths))
    first = network.embed_motion(features, lengths, zero_padding=False)
    second = network.embed_motion(other, lengths, zero_padding=False)
    assert torch.equal(first[1], second[1])  # full length
    assert not torch.allclose(first[0], second[0])


@torch.no_grad()
def test_foot_contacts_are_not_read() -> None:
    network = small()
    features, lengths = inputs()
    other = features.clone()
    other[..., -4:] = 0.0
    assert torch.equal(network.embed_motion(features, lengths), network.embed_motion(other, lengths))


@torch.no_grad()
def test_text_embeddings_come_in_input_order_whatever_the_padding() -> None:
    network = small()
    words = torch.randn(4, 7, 9, generator=generator(3))
    classes = functional.one_hot(torch.randint(15, (4, 7), generator=generator(4)), 15).float()
    lengths = torch.tensor([3, 7, 1, 5])
    together = network.embed_text(words, classes, lengths)
    assert together.shape == (4, 6)
    for row, length in enumerate(lengths.tolist()):
        own = slice(row, row + 1)
        alone = network.embed_text(words[own, :length], classes[own, :length], lengths[own])
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("lengths", [[3, 8], [8, 41]])
def test_lengths_out_of_range_are_named(lengths: list[int]) -> None:
    with pytest.raises(DataError, match=str(lengths[0])):
        small().embed_motion(torch.zeros(2, 44, 20), torch.tensor(lengths))


def test_contrastive_losses_prefer_matching_rows() -> None:
    text = 4.0 * torch.eye(6)
    for kind in ("infonce", "margin"):
        matched = contrastive_loss(text, text, kind=kind)  # type: ignore[arg-type]
        shifted = contrastive_loss(text, text.roll(1, 0), kind=kind)  # type: ignore[arg-type]
        assert matched < shifted
    scores = -torch.cdist(text, 0.5 * text).square() / 3.0
    target = torch.arange(6)
    expected = 0.5 * (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target))
    torch.testing.assert_close(contrastive_loss(text, 0.5 * text, temperature=3.0), expected)


def test_rows_of_the_same_caption_are_no_negatives() -> None:
    text = torch.randn(4, 5, generator=generator(1))
    motion = torch.randn(4, 5, generator=generator(2))
    pairs = contrastive_loss(text, motion, groups=torch.tensor([0, 0, 1, 2]))
    keep = torch.ones(4, 4, dtype=torch.bool)
    keep[0, 1] = keep[1, 0] = False
    scores = (-torch.cdist(text, motion).square()).masked_fill(~keep, -torch.inf)
    expected = -0.5 * (scores.log_softmax(1).diagonal().mean() + scores.log_softmax(0).diagonal().mean())
    torch.testing.assert_close(pairs, expected)


@pytest.mark.parametrize("kind", ["infonce", "margin"])
def test_a_tiny_set_is_learnt(kind: str) -> None:
    network = Evaluator(SMALL)
    features, lengths = inputs()
    words = torch.randn(5, 7, 9, generator=generator(3))
    classes = torch.zeros(5, 7, 15)
    sentence = torch.tensor([3, 7, 2, 5, 4])
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(60):
            text = network.embed_text(words, classes, sentence)
            loss = contrastive_loss(text, network.embed_motion(features, lengths), kind=kind)  # type: ignore[arg-type]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    network.eval()
    text, motion = network.embed_text(words, classes, sentence), network.embed_motion(features, lengths)
    assert torch.equal(torch.cdist(text, motion).argmin(1), torch.arange(5))


def test_distances_stay_exact_under_mixed_precision() -> None:
    text = 30.0 + torch.randn(8, 16, generator=generator(1))
    motion = text + 0.1 * torch.randn(8, 16, generator=generator(2))
    expected = contrastive_loss(text, motion)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(contrastive_loss(text, motion), expected)
