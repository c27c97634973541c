"""Pruning: which codes go, that all else keeps its bytes, and what the projection removes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_world import tiny_params

from hmu_tasks.methods.shared import pruning
from hmu_tasks.methods.shared.code_tables import codebook_rows, network_rows, with_rows
from hmu_tasks.methods.shared.codes import CodeUsage
from hmu_tasks.methods.shared.difference import compare_states
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.errors import ConfigError

CODES, LAYERS = 12, 4
SIZES = {
    "codes": CODES,
    "code_width": 8,
    "latent": 16,
    "layers": 1,
    "heads": 2,
    "feedforward": 16,
    "text_width": 6,
}
NETWORKS = [(model, part) for model in MODELS for part in model_named(model).networks]


def usage(forget: np.ndarray, retain: np.ndarray) -> CodeUsage:
    return CodeUsage(forget, retain, forget, retain, forget=10, retain=50)


def kept() -> list[torch.Tensor]:
    """Other codes stay in each layer."""
    return [torch.tensor(sorted({*range(CODES)} - {layer, layer + 3, 11})) for layer in range(LAYERS)]


def test_codes_are_ranked_by_their_smoothed_ratio() -> None:
    forget = np.array([[100, 30, 3, 2, 0, 9]])
    retain = np.array([[1000, 3, 0, 0, 5, 9]])
    found = pruning.scores(usage(forget, retain), 0)
    expected = (30 + 0.5) / (144 + 3) / ((3 + 2) / (1017 + 12))
    assert found[1] == pytest.approx(expected)
    # Code 2 is never used by retain clips but rarely by forget ones: less evidence than code 1.
    assert found[1] > found[2]
    assert pruning.most_used(usage(forget, retain), 0, 2, support=3, section="unlearn.prune") == [1, 2]
    with pytest.raises(
        ConfigError,
        match=r"unlearn\.prune\.strengths is 5, but only 4 codes of layer 0 occur at least 3 .*unlearn\.prune\.support",
    ):
        pruning.most_used(usage(forget, retain), 0, 5, support=3, section="unlearn.prune")


def network_of(model: str, part: str, codes: int = CODES) -> torch.nn.Module:
    described = model_named(model).networks[part]
    kind = found_at(described.config)
    more = {"quantizers": LAYERS} if "quantizers" in kind.__dataclass_fields__ else {}
    return found_at(described.network)(kind(**{**SIZES, **more, "codes": codes}), seed=1).eval()


@pytest.mark.parametrize(("model", "part"), NETWORKS)
def test_a_smaller_network_gives_the_logits_of_the_codes_that_stay(model: str, part: str) -> None:
    """Scores of a sequence of kept codes are those of the whole network, without the deleted ones."""
    whole = network_of(model, part)
    keep = kept()
    stay = network_rows(whole, keep, codes=CODES)
    small = network_of(model, part, codes=CODES - 3)
    small.load_state_dict(with_rows(whole.state_dict(), stay))
    difference = compare_states(whole.state_dict(), small.state_dict(), kept=stay)
    assert set(difference.deleted) == set(stay)
    assert not difference.changed
    assert difference.values == sum(p.numel() for p in whole.parameters()) - sum(
        p.numel() for p in small.parameters()
    )
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(CODES - 3, (2, 5, LAYERS), generator=generator)
    original = torch.stack([keep[layer][ids[..., layer]] for layer in range(LAYERS)], dim=-1)
    text, lengths = torch.randn(2, 6, generator=generator), torch.tensor([5, 4])
    with torch.no_grad():
        if part == "residual":
            for layer in range(1, LAYERS):
                found = small.logits(ids, layer, text, lengths)[..., : CODES - 3]
                wanted = whole.logits(original, layer, text, lengths)[..., keep[layer]]
                torch.testing.assert_close(found[0], wanted[0])
            return
        causal = model in ("bamm", "t2mgpt")
        arguments = () if causal else (lengths,)
        found = small.logits(ids[..., 0], text, *arguments)
        wanted = whole.logits(original[..., 0], text, *arguments)
        torch.testing.assert_close(found[0, :5, : CODES - 3], wanted[0, :5, keep[0]])
        if causal:  # the end follows the codes
            torch.testing.assert_close(found[..., CODES - 3], wanted[..., CODES])


def test_a_smaller_tokenizer_uses_the_codes_that_stay() -> None:
    config = TokenizerConfig(width=8, code_width=8, codes=CODES, quantizers=LAYERS, depth=1)
    whole = RVQVAE(config, seed=1).eval()
    whole = whole.with_codebooks(torch.randn(LAYERS, CODES, 8, generator=torch.Generator().manual_seed(2)))
    keep = kept()
    stay = codebook_rows(whole.state_dict(), keep)
    small = RVQVAE(replace(config, codes=CODES - 3)).eval()
    small.load_state_dict(with_rows(whole.state_dict(), stay))
    ids = torch.randint(CODES - 3, (1, 6, LAYERS), generator=torch.Generator().manual_seed(0))
    original = torch.stack([keep[layer][ids[..., layer]] for layer in range(LAYERS)], dim=-1)
    torch.testing.assert_close(small.quantizer.decode(ids), whole.quantizer.decode(original))


def test_rows_that_stay_must_keep_their_bytes() -> None:
    whole = network_of("momask", "base")
    stay = network_rows(whole, kept(), codes=CODES)
    state = with_rows(whole.state_dict(), stay)
    state["token_emb.weight"] = state["token_emb.weight"] + 1e-6
    with pytest.raises(ValueError, match=r"token_emb\.weight that stay do not keep their bytes"):
        compare_states(whole.state_dict(), state, kept=stay)


def test_no_input_reaches_the_directions_that_were_projected_out() -> None:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(16, 6, generator=generator)
    concept, rest = (
        torch.randn(2, 6, generator=generator).double(),
        torch.randn(6, generator=generator).double(),
    )
    found = pruning.project(weight, concept, rest)
    directions = weight.double() @ (concept - rest).T
    anything = torch.randn(100, 6, generator=generator).double()
    reached = (anything @ found.double().T) @ directions
    assert reached.abs().max() < 1e-4 * directions.norm()
    assert torch.linalg.matrix_rank(weight - found, rtol=1e-4) == 2
    across = torch.linalg.qr(torch.cat([directions, torch.randn(16, 14, generator=generator).double()], 1))[
        0
    ][:, 2:]
    torch.testing.assert_close(across.T @ found.double(), across.T @ weight.double(), atol=1e-5, rtol=0)


def test_the_telling_word_is_found_in_each_text() -> None:
    """Each forget text has one word that retain texts never have, at another place."""
    generator = torch.Generator().manual_seed(4)
    common = torch.randn(20, 8, generator=generator)
    telling = torch.zeros(8)
    telling[7] = 6.0

    def texts(count: int, odd: bool) -> tuple[torch.Tensor, list[int]]:
        rows = common[torch.randint(20, (count, 6), generator=generator)] + 0.1 * torch.randn(
            count, 6, 8, generator=generator
        )
        places = [i % 5 for i in range(count)]
        for i, place in enumerate(places):
            if odd:
                rows[i, place] = telling + 0.1 * torch.randn(8, generator=generator)
        rows[:, 5] = 0.0  # absent
        return torch.cat([torch.zeros(count, 1, 8), rows], dim=1), places

    forget, places = texts(50, odd=True)
    retain, _ = texts(200, odd=False)
    chosen, others = pruning.telling(forget, retain, shrinkage=0.01)
    assert others.shape == (200 * 5, 8)
    expected = torch.stack([forget[i, 1 + place] for i, place in enumerate(places)]).double()
    torch.testing.assert_close(chosen, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": "text", "strengths": [0, 4]}, "must be"),
        ({"strengths": [15]}, "two codes must stay"),
        ({"only": "both"}, "Input should be"),
    ],
)
def test_knobs_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match=message):
        tiny_params({"unlearn": {"prune": changes}})
