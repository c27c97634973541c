"""Latent Code Replacement: published codebooks, repairs, limits, and the record of changed tensors."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hmu_tasks.methods.lcr import Replacement, replace_codes, values_drawn
from hmu_tasks.methods.shared.chosen_codes import SubConcept, split_codes
from hmu_tasks.methods.shared.codes import CodeUsage, count_codes
from hmu_tasks.methods.shared.difference import compare_states
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.errors import ConfigError

# Values that the released script samples before the noise: the official tokenizer without its codebooks.
OFFICIAL_DRAWS = 21_009_671 - 6 * 512 * 512
SEED = 10107


def official_codebooks() -> Tensor:
    """The made-up codebooks of the golden numbers: seeded by the checksum of the tensor's name."""
    keys = [f"quantizer.layers.{layer}.codebook" for layer in range(6)]
    books = [np.random.default_rng(zlib.crc32(key.encode())).standard_normal((512, 512)) for key in keys]
    return torch.from_numpy(np.stack(books).astype(np.float32))


def official_usage(shared: Path) -> CodeUsage:
    """Two layers from the stored tables; layers 2 to 5 are unused there, so layer 1 stands in for them."""
    tables, books = (
        np.load(shared / "golden/g_lcr_tables.npz"),
        np.load(shared / "golden/g_lcr_codebooks.npz"),
    )
    first = np.concatenate([tables["big_forget_codes"], tables["big_retain_codes"]])
    second = np.concatenate([books["layer1_forget_codes"], books["layer1_retain_codes"]])
    codes = np.stack([first, *[second] * 5], axis=2)
    return count_codes(codes, np.arange(len(codes)) < 300, 512, lengths=np.full(len(codes), 49))


@pytest.mark.parity
@pytest.mark.parametrize(
    ("case", "knobs"),
    [
        ("k8", {"codes": 8}),
        ("k16", {"codes": 16}),
        ("k16_a05", {"codes": 16, "noise": 0.5}),
        ("k8_l2", {"codes": 8, "layers": (0, 1)}),
        ("k8_orth", {"codes": 8, "orthogonal": True}),
        ("k8_dest", {"codes": 8, "target_code": 58}),
    ],
)
def test_codebooks_equal_official(shared: Path, case: str, knobs: dict[str, Any]) -> None:
    golden = np.load(shared / "golden/g_lcr_codebooks.npz")
    before = official_codebooks()
    edit = replace_codes(
        before, official_usage(shared), seed=SEED, published=True, initial_draws=OFFICIAL_DRAWS, **knobs
    )
    for layer in range(6):
        rows = golden[f"{case}_codes_l{layer}"].tolist() if f"{case}_codes_l{layer}" in golden else []
        changed = torch.nonzero((edit.codebooks[layer] != before[layer]).any(dim=1)).flatten().tolist()
        assert edit.replaced.get(layer, []) == changed == rows
        if rows:
            expected = golden[f"{case}_rows_l{layer}"]
            np.testing.assert_allclose(edit.codebooks[layer][rows].numpy(), expected, rtol=0, atol=1e-5)
    if case != "k8_orth":
        assert edit.targets[0] == int(golden[f"{case}_target_idx"])


def usage_of(*, codes: int = 16, layers: int = 2, clips: int = 60) -> CodeUsage:
    """Codes 4 to 7 are violent; code 15 is seen in one forget clip only and never in retain."""
    rng = np.random.default_rng(0)
    forget = np.arange(clips) < clips // 3
    rows = []
    for clip, hit in enumerate(forget):
        rows.append(rng.integers(0, 12, size=(10, layers)))
        if hit:
            rows[-1][:4] = np.arange(4, 8)[:, None]
        elif clip % 8:
            rows[-1][rows[-1] > 3] = rng.integers(0, 4)
        else:
            rows[-1][:8] = np.arange(4, 12)[:, None]
    rows[0][9] = 15
    return count_codes(rows, forget, codes)


def books(*, codes: int = 16, layers: int = 2, width: int = 8) -> Tensor:
    return torch.randn((layers, codes, width), generator=torch.Generator().manual_seed(1))


def test_zero_codes_are_the_identity() -> None:
    before = books()
    edit = replace_codes(before, usage_of(), codes=0, seed=0)
    assert torch.equal(edit.codebooks, before)
    assert edit.codebooks.data_ptr() != before.data_ptr()
    assert edit.replaced == {0: []}


@pytest.mark.parametrize("published", [False, True])
def test_only_the_named_rows_change_and_the_input_never_does(published: bool) -> None:
    before = books()
    copy = before.clone()
    edit = replace_codes(before, usage_of(), codes=3, layers=(1,), seed=5, published=published)
    assert torch.equal(before, copy)
    assert torch.equal(edit.codebooks[0], before[0])
    changed = torch.nonzero((edit.codebooks[1] != before[1]).any(dim=1)).flatten().tolist()
    assert changed == edit.replaced[1]
    assert len(changed) >= 3


def test_same_seed_same_bytes() -> None:
    runs = [replace_codes(books(), usage_of(), codes=3, seed=seed).codebooks for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_support_keeps_rare_codes_out() -> None:
    def rows(**knobs: Any) -> list[int]:
        return replace_codes(books(), usage_of(), codes=1, seed=0, **knobs).replaced[0]

    assert rows(published=True) == [15]
    assert rows(support=1) == [15]
    assert rows(support=2) != [15]
    assert rows(support=1, score="log_odds") != [15]


def test_a_code_keeps_its_noise_when_more_codes_go() -> None:
    few, many = (replace_codes(books(), usage_of(), codes=k, seed=3) for k in (2, 5))
    assert set(few.replaced[0]) < set(many.replaced[0])
    rows = few.replaced[0]
    assert torch.equal(few.codebooks[0][rows], many.codebooks[0][rows])


def test_target_code_and_noise_scale() -> None:
    before = books()
    edit = replace_codes(before, usage_of(), codes=2, noise=0.0, seed=0, target_code=2)
    assert edit.targets == {0: 2}
    for row in edit.replaced[0]:
        assert torch.equal(edit.codebooks[0, row], before[0, 2])
    loud = replace_codes(before, usage_of(), codes=2, noise=0.5, seed=0)
    assert loud.scale[0] == pytest.approx(0.5 * float(before[0].std()))


@pytest.mark.parametrize("published", [False, True])
def test_a_replaced_target_gives_way_to_a_code_that_stays(published: bool) -> None:
    usage = usage_of()
    taken = replace_codes(books(), usage, codes=4, seed=0, published=published).replaced[0]
    edit = replace_codes(books(), usage, codes=4, seed=0, published=published, target_code=taken[0])
    assert edit.targets[0] not in taken


def test_retain_mean_target() -> None:
    before, usage = books(), usage_of()
    edit = replace_codes(before, usage, codes=4, noise=0.0, seed=0, target="retain_mean")
    weights = usage.retain_count[0].copy()
    weights[edit.replaced[0]] = 0
    expected = np.average(before[0].numpy(), axis=0, weights=weights)
    for row in edit.replaced[0]:
        np.testing.assert_allclose(edit.codebooks[0, row].numpy(), expected, atol=1e-6)
    assert edit.targets == {0: None}


def test_lists_of_sub_concepts_are_united() -> None:
    usage = usage_of()
    parts = {"kick": SubConcept(usage, 2), "punch": SubConcept(usage, 1)}
    edit = replace_codes(books(), usage, codes=6, seed=0, parts=parts)
    one, other = edit.parts["kick"][0], edit.parts["punch"][0]
    assert (len(one), len(other)) == (4, 2)
    assert edit.replaced[0] == sorted({*one, *other}) == one
    alone = replace_codes(books(), usage, codes=6, seed=0, parts={"all": SubConcept(usage, 5)})
    assert torch.equal(alone.codebooks, replace_codes(books(), usage, codes=6, seed=0).codebooks)
    assert replace_codes(books(), usage, codes=0, seed=0, parts=parts).replaced == {0: []}


@pytest.mark.parametrize(
    ("codes", "shares", "parts"), [(24, [16, 8], [16, 8]), (10, [1, 1, 1], [3, 4, 3]), (1, [1, 1], [0, 1])]
)
def test_codes_are_divided_by_shares(codes: int, shares: list[int], parts: list[int]) -> None:
    assert split_codes(codes, shares) == parts


def test_the_official_tokenizer_takes_as_many_draws_as_were_counted() -> None:
    assert values_drawn(RVQVAE(TokenizerConfig())) == OFFICIAL_DRAWS


def refused(message: str, **knobs: Any) -> None:
    with pytest.raises(ConfigError, match=message):
        replace_codes(books(), usage_of(), seed=0, **knobs)


def test_too_many_codes_are_refused_by_key() -> None:
    refused(r"unlearn\.lcr\.strengths is 16, but the codebook has 16", codes=16)
    refused(r"unlearn\.lcr\.strengths is 14, but only", codes=14)
    refused(r"unlearn\.lcr\.strengths is -1", codes=-1)
    refused(r"unlearn\.lcr\.layers: 2 is not a layer", codes=1, layers=(2,))


def test_counts_of_another_codebook_are_refused() -> None:
    with pytest.raises(ValueError, match="the counts are for"):
        replace_codes(books(codes=8), usage_of(), codes=1, seed=0)


def state(edit: Replacement | None = None) -> dict[str, Tensor]:
    codebooks = books() if edit is None else edit.codebooks
    return {"book.0": codebooks[0], "book.1": codebooks[1], "bias": torch.zeros(3), "step": torch.tensor(7)}


def test_difference_names_rows_and_seals_the_rest() -> None:
    edit = replace_codes(books(), usage_of(), codes=3, seed=0)
    found = compare_states(state(), state(edit))
    assert list(found.changed) == ["book.0"]
    change = found.changed["book.0"]
    assert change.rows == edit.replaced[0]
    assert change.max_abs_change == pytest.approx(float((edit.codebooks - books()).abs().max()))
    assert change.sha256_before != change.sha256_after
    assert sorted(found.unchanged) == ["bias", "book.1", "step"]
    assert all(len(digest) == 64 for digest in found.unchanged.values())


def test_difference_sees_single_bits() -> None:
    before = {"bias": torch.zeros(3)}
    found = compare_states(before, {"bias": torch.tensor([0.0, -0.0, 0.0])})
    assert found.changed["bias"].rows == [1]
    assert found.changed["bias"].max_abs_change == 0.0
    assert not compare_states(before, {"bias": torch.zeros(3)}).changed


def test_difference_refuses_other_keys_and_shapes() -> None:
    with pytest.raises(ValueError, match="only one side has step"):
        compare_states(state(), {k: v for k, v in state().items() if k != "step"})
    with pytest.raises(ValueError, match="bias changed from"):
        compare_states(state(), state() | {"bias": torch.zeros(4)})
