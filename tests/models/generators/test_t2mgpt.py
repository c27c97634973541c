"""T2M-GPT: the published layout gives the same logits, decoding is causal, and one codebook is enough."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from tiny_bundles import tiny_bundle
from tiny_networks import SIZES, enlarged, generator, learn
from torch import Tensor
from torch.nn import functional

from hmu_tasks.models.generators.one_layer import OneLayer
from hmu_tasks.models.generators.t2mgpt_base import T2mGptConfig, T2mGptTransformer
from hmu_tasks.models.generators.text_to_motion import Sampling

SMALL = T2mGptConfig(**{**SIZES, "layers": 4})
LENGTHS = torch.tensor([12, 7, 3, 1, 9])


def small(**changes: float) -> T2mGptTransformer:
    return enlarged(T2mGptTransformer(T2mGptConfig(**{**SIZES, "layers": 4, **changes})))


def texts(rows: int = 5) -> Tensor:
    return torch.randn(rows, 6, generator=generator(2))


def published_shapes(config: T2mGptConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the released state, without causal masks and an unused table of positions."""
    width, wide, half = config.latent, config.feedforward, config.layers // 2
    found: dict[str, tuple[int, ...]] = {
        "trans_base.tok_emb.weight": (config.codes + 2, width),
        "trans_base.cond_emb.weight": (width, config.text_width),
        "trans_base.cond_emb.bias": (width,),
        "trans_base.pos_embed.embed": (config.positions, 1, width),
        "trans_head.ln_f.weight": (width,),
        "trans_head.ln_f.bias": (width,),
        "trans_head.head.weight": (config.codes + 1, width),
    }
    for part in ("trans_base", "trans_head"):
        for number in range(half):
            block = f"{part}.blocks.{number}"
            for name, rows, columns in (
                *((f"attn.{one}", width, width) for one in ("key", "query", "value", "proj")),
                ("mlp.0", wide, width),
                ("mlp.2", width, wide),
            ):
                found[f"{block}.{name}.weight"], found[f"{block}.{name}.bias"] = (rows, columns), (rows,)
            for name in ("ln1", "ln2"):
                found[f"{block}.{name}.weight"] = found[f"{block}.{name}.bias"] = (width,)
    return found


def published(config: T2mGptConfig) -> dict[str, Tensor]:
    stream = generator(5)
    state = {k: 0.3 * torch.randn(s, generator=stream) for k, s in published_shapes(config).items()}
    place = torch.arange(config.positions)[:, None]
    rate = torch.exp(torch.arange(0, config.latent, 2) * (-math.log(10000.0) / config.latent))
    table = torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1).flatten(1)
    return {**state, "trans_base.pos_embed.embed": table[:, None]}


def ours_of(state: Mapping[str, Tensor], config: T2mGptConfig) -> dict[str, Tensor]:
    """The released state under our names: two stacks become one, attention's projections are packed."""
    found = {
        "token_emb.weight": state["trans_base.tok_emb.weight"],
        "cond_emb.weight": state["trans_base.cond_emb.weight"],
        "cond_emb.bias": state["trans_base.cond_emb.bias"],
        "position_enc.pe": state["trans_base.pos_embed.embed"],
        "output_process.norm.weight": state["trans_head.ln_f.weight"],
        "output_process.norm.bias": state["trans_head.ln_f.bias"],
        "output_process.poseFinal.weight": state["trans_head.head.weight"],
    }
    names = {"ln1": "norm1", "ln2": "norm2", "attn.proj": "self_attn.out_proj", "mlp.0": "linear1"}
    names["mlp.2"] = "linear2"
    half = config.layers // 2
    for number in range(config.layers):
        part = ("trans_base", "trans_head")[number // half]
        block, place = f"{part}.blocks.{number % half}.", f"seqTransEncoder.layers.{number}."
        for kind in ("weight", "bias"):
            packed = [state[f"{block}attn.{one}.{kind}"] for one in ("query", "key", "value")]
            found[f"{place}self_attn.in_proj_{kind}"] = torch.cat(packed)
            for theirs, own in names.items():
                found[f"{place}{own}.{kind}"] = state[f"{block}{theirs}.{kind}"]
    return found


def reference(state: Mapping[str, Tensor], ids: Tensor, text: Tensor, config: T2mGptConfig) -> Tensor:
    """Logits by the formulas of section 3.2, one block after the other."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", torch.zeros(()))

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    start = linear(text, "trans_base.cond_emb")[:, None]
    x = torch.cat([start, state["trans_base.tok_emb.weight"][ids]], dim=1)
    x = x + state["trans_base.pos_embed.embed"][: x.shape[1], 0]
    causal = torch.ones(x.shape[1], x.shape[1]).tril().bool()
    for part in ("trans_base", "trans_head"):
        for number in range(config.layers // 2):
            block = f"{part}.blocks.{number}"
            inner = norm(x, f"{block}.ln1")
            q, k, v = (
                linear(inner, f"{block}.attn.{one}").unflatten(-1, (config.heads, -1)).transpose(1, 2)
                for one in ("query", "key", "value")
            )
            scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(~causal, -torch.inf)
            x = x + linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), f"{block}.attn.proj")
            wide = functional.gelu(linear(norm(x, f"{block}.ln2"), f"{block}.mlp.0"))
            x = x + linear(wide, f"{block}.mlp.2")
    return linear(norm(x, "trans_head.ln_f"), "trans_head.head")


def test_the_published_state_gives_the_published_logits() -> None:
    state, network = published(SMALL), T2mGptTransformer(SMALL).eval()
    network.load_state_dict(ours_of(state, SMALL))
    ids = torch.randint(SMALL.codes, (3, 11), generator=generator(1))
    with torch.no_grad():
        found = network.logits(ids, texts(3))
    torch.testing.assert_close(found, reference(state, ids, texts(3), SMALL), atol=2e-5, rtol=1e-5)


def test_published_sizes() -> None:
    with torch.device("meta"):
        network = T2mGptTransformer(T2mGptConfig())
    shapes = published_shapes(T2mGptConfig())
    assert sum(p.numel() for p in network.parameters()) == sum(
        math.prod(shape) for name, shape in shapes.items() if name != "trans_base.pos_embed.embed"
    )
    assert shapes["trans_head.blocks.8.attn.key.weight"] == (1024, 1024)


def test_decoding_is_that_of_the_logits_and_no_row_depends_on_another() -> None:
    network, text = small(condition_drop=0.1), texts()
    greedy = Sampling(cfg=2.0, temperature=0.0)
    found = network.sample(text, LENGTHS, sampling=greedy, generator=generator())
    assert found.shape == (5, 12)
    for row, length in enumerate(LENGTHS.tolist()):
        assert (found[row, length:] == -1).all()
        ids = torch.empty(1, 0, dtype=torch.int64)
        with torch.no_grad():
            for _ in range(length):
                logits = network.logits(ids, text[row : row + 1], cfg_scale=2.0)[:, -1, : SMALL.codes]
                ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
        assert torch.equal(found[row, :length], ids[0])
    drawn = Sampling(cfg=2.0, top_k=0.5)
    both = network.sample(text, LENGTHS, sampling=drawn, generator=generator(1))
    alone = network.sample(text[:1], LENGTHS[:1], sampling=drawn, generator=generator(1))
    assert torch.equal(both[:1], alone)


def test_without_lengths_a_motion_ends_where_the_model_says_so() -> None:
    network = small()
    found = network.sample(texts(40), None, sampling=Sampling(top_k=0.0), generator=generator(3))
    lengths = (found >= 0).sum(dim=1)
    assert int(lengths.min()) >= 1
    assert len(set(lengths.tolist())) > 3
    assert found.shape[1] == int(lengths.max())
    for row, length in zip(found, lengths.tolist(), strict=True):
        assert (row[:length] < SMALL.codes).all()
        assert (row[length:] == -1).all()


def test_guidance_needs_texts_that_were_dropped() -> None:
    text, free = texts(), Sampling(cfg=1.0, temperature=0.0)
    for drop, same in ((0.0, True), (0.3, False)):
        network = small(condition_drop=drop)
        one, other = (
            network.sample(text, LENGTHS, sampling=sampling, generator=generator())
            for sampling in (free, Sampling(cfg=6.0, temperature=0.0))
        )
        assert torch.equal(one, other) == same
        codes = torch.randint(SMALL.codes, (5, 12, 1), generator=generator(6))
        (low,), (high,) = (
            network.guided(codes, text, LENGTHS, cfg_scale=scale, generator=generator(7))
            for scale in (1.0, 6.0)
        )
        assert torch.equal(low.logits, high.logits) == same


def test_given_codes_stay_and_those_before_the_gap_are_not_told_of_those_after() -> None:
    network, sampling = small(), Sampling(temperature=0.0)
    given = torch.full((5, 12), -1)
    given[:, 0] = 3
    found = network.sample(texts(), LENGTHS, sampling=sampling, generator=generator(), given=given)
    assert (found[:, 0] == 3).all()
    given[0, 8] = 5
    later = network.sample(texts(), LENGTHS, sampling=sampling, generator=generator(), given=given)
    assert int(later[0, 8]) == 5
    assert torch.equal(later[0, :8], found[0, :8])
    assert torch.equal(later[1:], found[1:])


def test_it_learns() -> None:
    network = T2mGptTransformer(SMALL)
    codes = torch.randint(SMALL.codes, (6, 8, 1), generator=generator(4))
    share, last = learn(network, codes, texts(6), torch.tensor([8, 5, 8, 3, 6, 8]), steps=120)
    assert share < 0.7
    assert float(last.accuracy) > 0.5
    read, target, known = network.corrupt(codes[..., 0], torch.full((6,), 8), generator(1))
    assert not known.any()
    changed = (read != target)[:, :8].float().mean()
    assert 0.25 < float(changed) < 0.7
    assert (target[:, 8] == network.end_id).all()


def test_the_further_layers_are_left_out() -> None:
    bundle = tiny_bundle("t2mgpt")
    model = bundle.model
    assert isinstance(model, OneLayer)
    assert list(model.networks) == ["base"]
    text = torch.randn(4, 3, 6, generator=generator(1))
    arguments = {"sampling": Sampling(cfg=2.0), "generator": generator(2)}
    codes = model.generate_codes(text, [24, 40, 16, 32], **arguments)
    for clip, frames in zip(codes, [24, 40, 16, 32], strict=True):
        assert clip.shape == (frames // 4, len(model.codebooks))
        assert (clip[:, 0] >= 0).all()
        assert (clip[:, 1:] == -1).all()
    (first, *_) = model.tokenizer.decode([codes[0]])
    other = codes[0].copy()
    other[:, 0] = (other[:, 0] + 1) % len(model.codebooks[0])
    assert np.isfinite(first).all()
    assert not np.allclose(first, model.tokenizer.decode([other])[0])


@pytest.mark.parametrize("count", [1, 3])
def test_codes_can_be_deleted(count: int) -> None:
    from hmu_tasks.methods.shared.code_tables import network_rows, with_rows

    network = small()
    keep = [torch.arange(count, SMALL.codes)] * 2
    state = with_rows(network.state_dict(), network_rows(network, keep, codes=SMALL.codes))
    fewer = T2mGptTransformer(T2mGptConfig(**{**SIZES, "layers": 4, "codes": SMALL.codes - count})).eval()
    fewer.load_state_dict(state)
    assert torch.equal(fewer.token_emb.weight[-2:], network.token_emb.weight[-2:])
    ids = torch.randint(count, SMALL.codes, (2, 6), generator=generator(1))
    with torch.no_grad():
        before, after = network.logits(ids, texts(2)), fewer.logits(ids - count, texts(2))
    torch.testing.assert_close(after, before[..., count:])
