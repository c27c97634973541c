"""Precision casts: every weight within its rounding error, the input as it was, digests of their own."""

import pytest
import torch
from tiny_bundles import same_bits, state, tiny_bundle

from hmu_tasks.probes.casts import pruned_weights, to_bfloat16, to_integers


@pytest.mark.parametrize("model", ["momask", "bamm"])
def test_bfloat16_rounds_every_weight_by_at_most_its_last_bit(model: str) -> None:
    bundle = tiny_bundle(model)
    before = state(bundle)
    after = state(to_bfloat16(bundle))
    assert same_bits(before, state(bundle))
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert torch.equal(after[name], values.to(torch.bfloat16).float()), name
        assert bool(((after[name] - values).abs() <= values.abs() * 2.0**-8).all()), name
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.partition(".")[0] for name in changed} == {"tokenizer", "base", "residual", "text"}
    assert any("codebook" in name for name in changed)


@pytest.mark.parametrize("bits", [8, 4])
def test_integers_err_by_at_most_half_a_step_of_their_channel(bits: int) -> None:
    bundle = tiny_bundle()
    before, after = state(bundle), state(to_integers(bundle, bits=bits))
    levels = 2 ** (bits - 1) - 1
    rounded = 0
    for name, values in before.items():
        if values.ndim < 2:
            assert torch.equal(after[name], values), name
            continue
        # The tokenizer's filters of a convolution are one channel each; everything else is matrices of rows.
        per_row = "encoder" not in name and "decoder" not in name
        one, other = (t if per_row else t.flatten(1) for t in (values, after[name]))
        step = one.abs().amax(dim=-1, keepdim=True) / levels
        assert bool(((other - one).abs() <= step / 2 * (1 + 1e-5)).all()), name
        kinds = [len(row.unique()) for row in other.reshape(-1, other.shape[-1])]
        assert max(kinds) <= 2 * levels + 1
        rounded += int(not torch.equal(one, other))
    assert rounded > 10


def test_zero_rows_stay_zero() -> None:
    bundle = tiny_bundle()
    with torch.no_grad():
        bundle.model.base.cond_emb.weight.zero_()
    assert not state(to_integers(bundle))["base.cond_emb.weight"].any()


@pytest.mark.parametrize("cast", [to_bfloat16, to_integers])
def test_casts_are_deterministic_models_of_their_own(cast: object) -> None:
    assert callable(cast)
    bundle = tiny_bundle()
    one, again = cast(bundle), cast(tiny_bundle())
    assert same_bits(state(one), state(again))
    for digest in ("digest", "text_digest", "generator_digest"):
        assert getattr(one, digest) == getattr(again, digest) != getattr(bundle, digest)
    assert to_bfloat16(bundle).generator_digest != to_integers(bundle).generator_digest
    assert same_bits(state(to_bfloat16(to_bfloat16(bundle))), state(to_bfloat16(bundle)))


def test_a_text_to_steer_away_from_stays() -> None:
    from hmu_tasks.models.generators.sampling import Negative
    from hmu_tasks.probes.attacked import exchanged

    negative = Negative(torch.ones(6), 0.5)
    steered = tiny_bundle().model.with_negative(negative)
    bundle = exchanged(tiny_bundle(), base=steered.base, residual=steered.residual)
    cast = to_integers(bundle)
    for network in (cast.model.base, cast.model.residual):
        assert network.negative is not None
        assert torch.equal(network.negative.text, negative.text)
        assert network.negative.weight == negative.weight


def test_foreign_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="bits must lie between 2 and 16"):
        to_integers(tiny_bundle(), bits=1)


def test_the_smallest_weights_are_dropped_and_codebooks_stay() -> None:
    bundle = tiny_bundle()
    before, after = state(bundle), state(pruned_weights(bundle, share=0.2))
    dropped = 0
    for name, values in before.items():
        other = after[name]
        if values.ndim < 2 or "codebook" in name or name.endswith(".pe"):
            assert torch.equal(other, values), name
            continue
        gone = other != values
        assert not other[gone].any(), name
        if values.numel() >= 50:
            assert 0.15 <= (other == 0).double().mean() <= 0.25, name
            assert values[gone].abs().max() <= values[~gone & (values != 0)].abs().min(), name
            dropped += 1
    assert dropped > 10
    with pytest.raises(ValueError, match="between 0 and 1"):
        pruned_weights(bundle, share=1.0)
