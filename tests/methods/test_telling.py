"""Which tokens of forget clips show the concept: those whose context retain clips do not have."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import unlearn
from hmu_tasks.methods.shared import telling
from hmu_tasks.runtime import paths

CODES, LAYERS, WIDTH = 10, 2, 4


def books() -> torch.Tensor:
    return torch.randn(LAYERS, CODES, WIDTH, generator=torch.Generator().manual_seed(1))


def test_a_context_is_five_tokens_and_ends_are_repeated() -> None:
    clip = np.array([[0, 1], [2, 3], [4, 5]])
    found = telling.contexts([clip], books())
    latents = books()[0, clip[:, 0]] + books()[1, clip[:, 1]]
    assert found.shape == (3, 5 * WIDTH)
    torch.testing.assert_close(found[0].view(5, WIDTH), latents[[0, 0, 0, 1, 2]])
    torch.testing.assert_close(found[2].view(5, WIDTH), latents[[0, 1, 2, 2, 2]])


def test_tokens_around_the_strike_are_told_from_those_of_any_motion() -> None:
    """Each forget clip is a retain clip but for one token, of a code that retain clips use elsewhere, too."""
    rng = np.random.default_rng(0)

    def clip() -> np.ndarray:
        return rng.integers(0, CODES - 2, (20, LAYERS))

    retain, forget, places = [clip() for _ in range(150)], [], []
    for _ in range(60):
        one, place = clip(), int(rng.integers(3, 17))
        one[place] = CODES - 1
        forget.append(one)
        places.append(place)
    far = books()
    far[:, CODES - 1] = 4.0
    found = telling.telling_tokens(forget, retain, far)
    assert [len(mark) for mark in found] == [20] * 60
    assert all(mark[place] for mark, place in zip(found, places, strict=True))
    marked = np.concatenate(found).mean()
    assert marked < 0.35  # the token itself, its neighbours whose context it is in, and few others
    alone = [
        mark[[i for i in range(20) if abs(i - place) > 2]] for mark, place in zip(found, places, strict=True)
    ]
    assert np.concatenate(alone).mean() < 0.1


def test_each_clip_has_a_telling_token_even_where_nothing_tells() -> None:
    rng = np.random.default_rng(2)
    clips = [rng.integers(0, CODES, (length, LAYERS)) for length in (1, 7, 12, 9)]
    found = telling.telling_tokens(clips[:2], clips[2:], books())
    assert [mark.any() for mark in found] == [True, True]


def test_pruning_by_context_counts_only_telling_tokens(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = paths.edits("momask", "prune") / "strength002-s0"

    def deleted() -> dict[str, list[int]]:
        knobs = {"strengths": [2], "score": "context"}
        unlearn.run(tiny_params({"unlearn": {"prune": knobs}}), "momask", "prune")
        found: dict[str, list[int]] = json.loads((folder / "edit.json").read_text())["deleted"]
        return found

    seen: list[int] = []

    def first_tokens(
        forget: list[np.ndarray], retain: list[np.ndarray], codebooks: torch.Tensor
    ) -> list[np.ndarray]:
        del retain, codebooks
        seen.append(len(forget))
        assert all((clip >= 0).all() for clip in forget)
        return [np.arange(len(clip)) < 4 for clip in forget]

    real = deleted()
    monkeypatch.setattr("hmu_tasks.methods.shared.pruning.telling_tokens", first_tokens)
    other = deleted()
    assert seen
    assert {layer: len(codes) for layer, codes in real.items()} == dict.fromkeys(other, 2)
    assert real != other
