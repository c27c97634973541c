from pathlib import Path

import pytest
import torch
from official_golden import fill, golden, gumbel, manifest, shapes
from tiny_networks import SIZES, enlarged, generator, learn

from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.networks.layers import inside_mask
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.errors import ConfigError

SMALL = ResidualTransformerConfig(quantizers=4, **SIZES)


def small(config: ResidualTransformerConfig = SMALL) -> ResidualTransformer:
    return enlarged(ResidualTransformer(config))


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    codes = torch.randint(20, (5, 12, 4), generator=generator(1))
    text = torch.randn(5, 6, generator=generator(2))
    return codes, text, torch.tensor([12, 7, 3, 1, 9])


@pytest.mark.parity
def test_official_keys_logits_and_generation(shared: Path) -> None:
    network = ResidualTransformer(ResidualTransformerConfig())
    fill(network)
    assert shapes(network) == manifest(shared, "tres_nlayer8_ld384_ff1024_rvq6ns_cdp0.2_sw")
    expected = {k: torch.from_numpy(v) for k, v in golden(shared, "d_res").items()}
    codes, text, lengths = expected["codes"].long(), expected["emb"], expected["lens"]
    inside = inside_mask(lengths, codes.shape[1])[..., None]
    with torch.no_grad():
        for q in range(1, 6):
            for name, scale, tolerance in (("cond", None, 1e-5), ("uncond", 0.0, 1e-5), ("cfg5", 5.0, 3e-5)):
                logits = (network.logits(codes, q, text, lengths, scale) * inside).transpose(1, 2)
                torch.testing.assert_close(logits, expected[f"logits_{name}_q{q}"], atol=tolerance, rtol=0)
    base, text, lengths = expected["gen_base_ids"].long(), expected["gen_emb"], expected["gen_lens"]

    def generate(**knobs: object) -> torch.Tensor:
        return network.generate(base, text, lengths, generator=generator(), padding_class=True, **knobs)  # type: ignore[arg-type]

    greedy = generate(temperature=0.0)
    assert torch.equal(greedy, expected["gen_greedy"].long())
    noise = torch.stack([gumbel(3000 + q, (4, 49, 513)) for q in range(5)])
    sampled = generate(noise=noise)
    assert torch.equal(sampled, expected["gen_noise"].long())
    assert torch.equal(generate(temperature=0.0, layers=3), expected["gen_greedy_numres2"].long())
    tokenizer = RVQVAE(TokenizerConfig())
    fill(tokenizer)
    with torch.no_grad():
        for codes, name in ((greedy, "greedy"), (sampled, "noise")):
            motion = tokenizer.decode(codes[:2])
            torch.testing.assert_close(motion, expected[f"pipeline_motion_{name}"], atol=5e-6, rtol=0)


def test_logits_of_a_row_do_not_depend_on_padding_other_rows_or_later_layers() -> None:
    network = small()
    codes, text, lengths = inputs()
    for q in (1, 3):
        together = network.logits(codes, q, text, lengths, 3.0)
        assert together.shape == (5, 12, 21)
        for row, length in enumerate(lengths.tolist()):
            own = slice(row, row + 1)
            alone = network.logits(codes[own, :length], q, text[own], lengths[own], 3.0)
            torch.testing.assert_close(together[row, :length], alone[0], atol=1e-5, rtol=1e-5)
        assert torch.equal(network.logits(codes[..., :q], q, text, lengths, 3.0), together)


def test_guidance() -> None:
    network = small()
    codes, text, lengths = inputs()
    conditional = network.logits(codes, 2, text, lengths)
    unconditional = network.logits(codes, 2, torch.zeros_like(text), lengths)
    assert torch.equal(network.logits(codes, 2, text, lengths, 1.0), conditional)
    assert torch.equal(network.logits(codes, 2, text, lengths, 0.0), unconditional)
    guided = unconditional + 2.5 * (conditional - unconditional)
    torch.testing.assert_close(network.logits(codes, 2, text, lengths, 2.5), guided, atol=1e-5, rtol=1e-5)


def test_generation_is_seeded_complete_and_independent_of_padding() -> None:
    network = small()
    codes, text, lengths = inputs()
    base = codes[..., 0]
    sampled = network.generate(base, text, lengths, generator=generator(3))
    assert sampled.shape == (5, 12, 4)
    inside = inside_mask(lengths, 12)
    assert torch.equal(sampled[..., 0][inside], base[inside])
    assert bool((sampled[~inside] == -1).all())
    assert 0 <= int(sampled[inside].min()) <= int(sampled[inside].max()) < 20
    assert torch.equal(sampled, network.generate(base, text, lengths, generator=generator(3)))
    assert not torch.equal(sampled, network.generate(base, text, lengths, generator=generator(4)))
    padded = torch.nn.functional.pad(base, (0, 3), value=-1)
    assert torch.equal(network.generate(padded, text, lengths, generator=generator(3))[:, :12], sampled)
    two = network.generate(base, text, lengths, layers=2, generator=generator(3))
    assert torch.equal(two, sampled[..., :2])


def test_the_padding_class_is_drawn_only_on_demand() -> None:
    network = small()
    codes, text, lengths = inputs()
    with torch.no_grad():
        network.output_proj_weight_[0, network.pad_id] = 50.0 * network.output_proj_weight_[0].sign().mean(0)
        network.output_process.poseFinal.bias.copy_(network.output_proj_weight_[0, network.pad_id])
    inside = inside_mask(lengths, 12)
    sampled = network.generate(codes[..., 0], text, lengths, generator=generator())
    assert int(sampled[inside].min()) >= 0
    published = network.generate(codes[..., 0], text, lengths, generator=generator(), padding_class=True)
    assert int(published[inside].min()) == -1


def test_layers_follow_the_published_schedule() -> None:
    layers = ResidualTransformer(SMALL).sample_layers(20000, generator(), torch.device("cpu"))
    share = torch.bincount(layers, minlength=4)[1:] / 20000
    # round((1 - cos(u pi / 2)) * 2) + 1 for uniform u
    bounds = torch.acos(1 - torch.tensor([0.25, 0.75])) * 2 / torch.pi
    expected = torch.stack([bounds[0], bounds[1] - bounds[0], 1 - bounds[1]])
    torch.testing.assert_close(share, expected, atol=0.01, rtol=0)


def test_the_loss_is_that_of_the_drawn_layers_within_the_length() -> None:
    network = small()
    codes, text, lengths = inputs()
    loss = network.training_loss(codes, text, lengths, generator(5))
    layers = network.sample_layers(5, generator(5), torch.device("cpu"))
    logits, targets = [], []
    for row, (layer, length) in enumerate(zip(layers.tolist(), lengths.tolist(), strict=True)):
        own = slice(row, row + 1)
        logits.append(network.logits(codes[own], layer, text[own], lengths[own])[0, :length])
        targets.append(codes[row, :length, layer])
    expected = torch.nn.functional.cross_entropy(torch.cat(logits), torch.cat(targets))
    torch.testing.assert_close(loss.loss, expected, atol=1e-5, rtol=1e-5)
    padded = torch.where(inside_mask(lengths, 12)[..., None], codes, -1)
    assert network.training_loss(padded, text, lengths, generator(5)).loss.item() == loss.loss.item()


@pytest.mark.parametrize("quantizers", [2, 4])
def test_a_tiny_set_is_learnt(quantizers: int) -> None:
    config = ResidualTransformerConfig(**{**SMALL.__dict__, "quantizers": quantizers})
    network = ResidualTransformer(config)
    codes, text, lengths = inputs()
    codes = codes[..., :quantizers]
    share, last = learn(network, codes, text, lengths, steps=200)
    assert share < 0.4
    assert last.accuracy.item() > 0.6


def test_one_quantizer_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 quantizers"):
        ResidualTransformerConfig(quantizers=1)


def test_mixed_precision_stays_close() -> None:
    network = small().train()
    ids, text, lengths = inputs()
    expected = network.training_loss(ids, text, lengths, generator(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network.training_loss(ids, text, lengths, generator(1))
    loss.loss.backward()
    assert loss.loss.item() == pytest.approx(expected.loss.item(), rel=0.05)
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())
