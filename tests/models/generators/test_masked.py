from pathlib import Path

import pytest
import torch
from official_golden import fill, golden, gumbel, manifest, shapes
from tiny_networks import SIZES, enlarged, generator, learn

from hmu_tasks.models.generators.length import LengthConfig, LengthEstimator
from hmu_tasks.models.generators.masked import (
    MaskTransformer,
    MaskTransformerConfig,
    cosine_schedule,
    mask_counts,
)
from hmu_tasks.models.generators.sampling import kept_classes, sample_codes
from hmu_tasks.models.networks.layers import inside_mask
from hmu_tasks.runtime.errors import ConfigError

SMALL = MaskTransformerConfig(**SIZES)


def small(seed: int = 0) -> MaskTransformer:
    """A small network with larger weights than at the start of training, so that inputs matter."""
    return enlarged(MaskTransformer(SMALL, seed=seed))


def inputs(batch: int = 5, tokens: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.randint(20, (batch, tokens), generator=generator(1))
    text = torch.randn(batch, 6, generator=generator(2))
    lengths = torch.tensor([12, 7, 3, 1, 9])[:batch].clamp(max=tokens)
    return ids, text, lengths


@pytest.mark.parity
def test_official_keys_logits_and_generation(shared: Path) -> None:
    network = MaskTransformer(MaskTransformerConfig())
    fill(network)
    assert shapes(network) == manifest(shared, "t2m_nlayer8_nhead6_ld384_ff1024_cdp0.1_rvq6ns")
    expected = {k: torch.from_numpy(v) for k, v in golden(shared, "c_mask").items()}
    ids, text, lengths = expected["ids"].long(), expected["emb"], expected["lens"]
    inside = inside_mask(lengths, ids.shape[1])
    with torch.no_grad():
        for name, scale, tolerance in (("cond", None, 1e-5), ("uncond", 0.0, 1e-5), ("cfg4", 4.0, 3e-5)):
            logits = (network.logits(ids, text, lengths, scale) * inside[..., None]).transpose(1, 2)
            torch.testing.assert_close(logits, expected[f"logits_{name}"], atol=tolerance, rtol=0)
    text, lengths = expected["gen_emb"], expected["gen_lens"]
    greedy = network.generate(text, lengths, steps=10, temperature=0.0, generator=generator())
    assert torch.equal(greedy, expected["gen10_greedy_ids"].long())
    noise = torch.stack([gumbel(2000 + k, (4, 49, 512)) for k in range(10)])
    drawn = network.generate(text, lengths, steps=10, noise=noise, generator=generator())
    assert torch.equal(drawn, expected["gen10_noise_ids"].long())


@pytest.mark.parity
def test_official_schedule_and_truncation(shared: Path) -> None:
    expected = {k: torch.from_numpy(v) for k, v in golden(shared, "c_mask").items()}
    for steps in (10, 18):
        ratio = cosine_schedule(torch.linspace(0, 1, steps))
        torch.testing.assert_close(ratio, expected[f"sched{steps}_prob"], atol=1e-7, rtol=0)
        counts = torch.stack([mask_counts(expected["lens"], r) for r in ratio])
        assert torch.equal(counts, expected[f"sched{steps}_nmask"])
    assert kept_classes(512, 0.9) == int(expected["topk_k"])


@pytest.mark.parity
def test_official_length_logits(shared: Path) -> None:
    network = LengthEstimator(LengthConfig())
    fill(network)
    assert shapes(network) == manifest(shared, "length_estimator")
    expected = golden(shared, "b_rvq")
    with torch.no_grad():
        logits = network(torch.from_numpy(expected["len_in"]))
    torch.testing.assert_close(logits, torch.from_numpy(expected["len_logits"]), atol=1e-5, rtol=0)


def test_logits_of_a_row_do_not_depend_on_padding_or_other_rows() -> None:
    network = small()
    ids, text, lengths = inputs()
    together = network.logits(ids, text, lengths, 3.0)
    for row, length in enumerate(lengths.tolist()):
        alone = network.logits(ids[row : row + 1, :length], text[row : row + 1], lengths[row : row + 1], 3.0)
        torch.testing.assert_close(together[row, :length], alone[0], atol=1e-5, rtol=1e-5)
    other = torch.where(inside_mask(lengths, 12), ids, -1)
    assert torch.equal(network.logits(other, text, lengths, 3.0), together)


def test_guidance() -> None:
    network = small()
    ids, text, lengths = inputs()
    conditional = network.logits(ids, text, lengths)
    unconditional = network.logits(ids, torch.zeros_like(text), lengths)
    assert not torch.allclose(conditional, unconditional)
    assert torch.equal(network.logits(ids, text, lengths, 1.0), conditional)
    assert torch.equal(network.logits(ids, text, lengths, 0.0), unconditional)
    guided = unconditional + 2.5 * (conditional - unconditional)
    torch.testing.assert_close(network.logits(ids, text, lengths, 2.5), guided, atol=1e-5, rtol=1e-5)


def test_generation_is_seeded_complete_and_independent_of_padding() -> None:
    network = small()
    _, text, lengths = inputs()
    ids = network.generate(text, lengths, generator=generator(3))
    assert torch.equal(ids, network.generate(text, lengths, generator=generator(3)))
    assert not torch.equal(ids, network.generate(text, lengths, generator=generator(4)))
    inside = inside_mask(lengths, 12)
    assert bool((ids[~inside] == -1).all())
    assert 0 <= int(ids[inside].min()) <= int(ids[inside].max()) < 20
    # a shorter first row: less padding for the others, the same draws
    shorter = lengths.clone()
    shorter[0] = 9
    again = network.generate(text, shorter, generator=generator(3))
    assert torch.equal(again[1:], ids[1:, :9])


def test_one_row_stays_the_same_when_later_rows_change() -> None:
    network = small()
    _, text, lengths = inputs()
    one = network.generate(text[:1], lengths[:1], generator=generator(3))
    both = network.generate(text[:1].repeat(2, 1), lengths[:1].repeat(2), generator=generator(3))
    assert torch.equal(one[0], both[0])
    assert not torch.equal(both[0], both[1])


def test_generation_switches_dropout_off_and_back_on() -> None:
    network = small().train()
    _, text, lengths = inputs()
    ids = network.generate(text, lengths, generator=generator(3))
    assert network.training
    assert torch.equal(ids, small().generate(text, lengths, generator=generator(3)))


def test_impossible_lengths_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        small().generate(torch.zeros(2, 6), torch.tensor([3, 0]), generator=generator())
    with pytest.raises(ConfigError, match="multiple of heads"):
        MaskTransformerConfig(latent=16, heads=3)


def test_draws_follow_the_truncated_distribution() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, -1.0, -9.0]).repeat(40000, 1)
    uniforms = torch.rand(40000, generator=generator())
    drawn = sample_codes(logits, top_k=0.5, temperature=2.0, uniforms=uniforms)
    share = torch.bincount(drawn, minlength=5) / 40000
    expected = torch.zeros(5)
    expected[:3] = (logits[0, :3] / 2.0).softmax(0)
    torch.testing.assert_close(share, expected, atol=0.01, rtol=0)
    noise = -torch.log(-torch.log(torch.rand(40000, 5, generator=generator()).clamp(min=1e-20)))
    drawn = sample_codes(logits, top_k=0.5, temperature=2.0, uniforms=uniforms, noise=noise)
    torch.testing.assert_close(torch.bincount(drawn, minlength=5) / 40000, expected, atol=0.01, rtol=0)


def test_corruption_hides_only_chosen_tokens_in_the_published_shares() -> None:
    network = small()
    ids = torch.randint(20, (4000, 12), generator=generator(1))
    lengths = torch.randint(1, 13, (4000,), generator=generator(2))
    corrupted, chosen = network.corrupt(ids, lengths, generator(3))
    inside = inside_mask(lengths, 12)
    assert bool((chosen.sum(1) >= 1).all())
    assert not bool((chosen & ~inside).any())
    assert torch.equal(corrupted[inside & ~chosen], ids[inside & ~chosen])
    assert bool((corrupted[~inside] == network.pad_id).all())
    masked = (corrupted[chosen] == network.mask_id).float().mean().item()
    changed = ((corrupted != ids) & (corrupted != network.mask_id))[chosen].float().mean().item()
    assert masked == pytest.approx(0.9 * 0.88, abs=0.01)
    assert changed == pytest.approx(0.1 * 19 / 20, abs=0.01)
    long = lengths == 12
    assert chosen[long].float().mean().item() == pytest.approx(2 / torch.pi, abs=0.04)  # mean of the cosine


def test_the_loss_sees_chosen_tokens_only() -> None:
    network = small()
    ids, text, lengths = inputs()
    ids = ids.expand(5, 12)
    loss = network.training_loss(ids[..., None], text, lengths, generator(5))
    corrupted, chosen = network.corrupt(ids, lengths, generator(5))
    logits = network.logits(corrupted, text, lengths)[chosen]
    expected = torch.nn.functional.cross_entropy(logits, ids[chosen])
    torch.testing.assert_close(loss.loss, expected, atol=1e-5, rtol=1e-5)
    assert loss.accuracy.item() == pytest.approx((logits.argmax(-1) == ids[chosen]).float().mean().item())


def test_a_tiny_set_is_learnt_with_its_text() -> None:
    network = MaskTransformer(SMALL)
    ids, text, lengths = inputs()
    share, _ = learn(network, ids[..., None], text, lengths, steps=250)
    assert share < 0.4
    drawn = network.generate(text, lengths, cfg_scale=2.0, temperature=0.0, generator=generator())
    inside = inside_mask(lengths, 12)
    assert (drawn == ids)[inside].float().mean() > 0.8


def test_mixed_precision_stays_close() -> None:
    network = small().train()
    ids, text, lengths = inputs()
    expected = network.training_loss(ids[..., None], text, lengths, generator(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network.training_loss(ids[..., None], text, lengths, generator(1))
    loss.loss.backward()
    assert loss.loss.item() == pytest.approx(expected.loss.item(), rel=0.05)
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())
