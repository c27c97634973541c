from pathlib import Path

import numpy as np
import pytest
import torch
from official_golden import fill, golden, manifest, shapes
from tiny_networks import SIZES, generator, learn

from hmu_tasks.models.generators.bamm_attention import reading_order
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.bamm_decoding import generate
from hmu_tasks.models.networks.layers import inside_mask

OFFICIAL = "bamm_2024-02-14-14-27-29_8_GPT_officialTrans_2iterPrdictEnd"


@pytest.fixture(scope="module")
def official() -> BammTransformer:
    network = BammTransformer(BammConfig())
    fill(network)
    return network


@pytest.mark.parity
def test_official_keys_order_and_logits(shared: Path, official: BammTransformer) -> None:
    assert shapes(official) == manifest(shared, OFFICIAL)
    expected = {k: torch.from_numpy(v) for k, v in golden(shared, "e_bamm").items() if v.ndim}
    ids, text, known = expected["ids"].long(), expected["emb"], expected["cond_idx"] != official.pad_id
    assert torch.equal(reading_order(known)[:, 0], expected["attn_bidir"])
    with torch.no_grad():
        for name, scale, tolerance in (("cond", None, 1e-5), ("cfg4", 4.0, 3e-5)):
            logits = official.logits(ids, text, cfg_scale=scale).transpose(1, 2)
            torch.testing.assert_close(logits, expected[f"logits_causal_{name}"], atol=tolerance, rtol=0)
        for name, scale, tolerance in (("cond", None, 1e-5), ("uncond", 0.0, 1e-5), ("cfg4", 4.0, 3e-5)):
            logits = official.logits(ids, text, known=known, cfg_scale=scale).transpose(1, 2)
            torch.testing.assert_close(logits, expected[f"logits_bidir_{name}"], atol=tolerance, rtol=0)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("case", ["greedy_given", "noise_given", "noise_pred"])
def test_official_generation(shared: Path, official: BammTransformer, case: str) -> None:
    expected = golden(shared, "e_bamm")
    noise = None
    if case.startswith("noise"):
        first = int(expected["gen_noise_seed"])
        sampled = [np.random.default_rng(first + k).random((4, 513), dtype=np.float32) for k in range(98)]
        u = torch.from_numpy(np.stack(sampled)).reshape(2, 49, 4, 513).transpose(1, 2)
        noise = -torch.log(-torch.log(u))
    lengths = torch.from_numpy(expected[f"stable_{case}_len"])
    ids = generate(
        official,
        torch.from_numpy(expected["gen_emb"]),
        lengths if case.endswith("given") else None,
        temperature=0.0 if noise is None else 1.0,
        noise=noise,
        generator=generator(),
        published=True,
    )
    assert (ids >= 0).sum(1).tolist() == lengths.tolist()
    for row, length in enumerate(lengths.tolist()):
        assert ids[row, :length].tolist() == expected[f"stable_{case}_ids"][row, :length].tolist()


SMALL = BammConfig(**SIZES)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.randint(20, (5, 12), generator=generator(1))
    return ids, torch.randn(5, 6, generator=generator(2)), torch.tensor([12, 7, 3, 1, 9])


def test_only_known_tokens_are_read_ahead() -> None:
    network = BammTransformer(SMALL).eval()
    ids, text, _ = inputs()
    known = torch.zeros_like(ids, dtype=torch.bool)
    known[:, 8] = True
    with torch.no_grad():
        for place, seen in ((6, False), (8, True)):
            other = ids.clone()
            other[:, place] = (ids[:, place] + 1) % 20
            for kept, moves in ((None, False), (known, seen)):
                one, two = (network.logits(i, text, known=kept)[:, : place + 1] for i in (ids, other))
                assert torch.equal(one, two) != moves


def test_examples_have_the_published_shares() -> None:
    network = BammTransformer(SMALL)
    ids = torch.randint(20, (4000, 12), generator=generator(1))
    lengths = torch.randint(1, 13, (4000,), generator=generator(2))
    read, target, known = network.corrupt(ids, lengths, generator(3))
    inside, with_end = inside_mask(lengths, 13), inside_mask(lengths + 1, 13)
    assert torch.equal(target[:, :12][inside[:, :12]], ids[inside[:, :12]])
    assert bool((target[with_end & ~inside] == network.end_id).all())
    assert bool((target[~with_end] == network.pad_id).all())
    assert not bool((known & ~with_end).any())
    hybrid = known.any(dim=1)
    assert hybrid[lengths > 8].float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert known[hybrid][with_end[hybrid]].float().mean().item() == pytest.approx(0.5, abs=0.06)
    assert torch.equal(read[~inside], target[~inside])
    assert (read != target)[inside].float().mean().item() == pytest.approx(0.25 * 19 / 20, abs=0.01)


def test_every_row_weighs_the_same() -> None:
    network = BammTransformer(SMALL).eval()
    ids, text, lengths = inputs()
    loss = network.training_loss(ids[..., None], text, lengths, generator(5)).loss
    read, target, known = network.corrupt(ids, lengths, generator(5))
    logits = network.logits(read, text, known=known)
    rows = [
        torch.nn.functional.cross_entropy(logits[i, : n + 1], target[i, : n + 1])
        for i, n in enumerate(lengths.tolist())
    ]
    torch.testing.assert_close(loss, torch.stack(rows).mean(), atol=1e-5, rtol=1e-5)
    other = torch.where(inside_mask(lengths, 12), ids, 3)
    assert torch.equal(network.training_loss(other[..., None], text, lengths, generator(5)).loss, loss)


def test_a_tiny_set_is_learnt_with_its_text_and_lengths() -> None:
    network = BammTransformer(SMALL)
    ids, text, lengths = inputs()
    share, _ = learn(network, ids[..., None], text, lengths, steps=250)
    assert share < 0.5
    inside = inside_mask(lengths, 12)
    for given in (lengths, None):
        sampled = generate(
            network, text, given, cfg_scale=2.0, second_cfg_scale=2.0, temperature=0.0, generator=generator()
        )
        assert (sampled >= 0).sum(dim=1).tolist() == lengths.tolist()
        assert (sampled == ids)[inside].float().mean() > 0.8
