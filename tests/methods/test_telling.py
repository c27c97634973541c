"""Which tokens of forget clips show the concept: those whose context retain clips do not have."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import unlearn
from hmu_tasks.data.clips.id_lists import ROLES, read_ids
from hmu_tasks.methods.shared import telling
from hmu_tasks.methods.shared.encoded import load_codes
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, WeightsError

CODES, LAYERS, WIDTH = 10, 2, 4


def books() -> torch.Tensor:
    return torch.randn(LAYERS, CODES, WIDTH, generator=torch.Generator().manual_seed(1))


def test_a_context_is_five_tokens_and_ends_are_repeated() -> None:
    clip = np.array([[0, 1], [2, 3], [4, 5]])
    found = telling.contexts([clip], books())
    latents = (books()[0, clip[:, 0]] + books()[1, clip[:, 1]]).double()
    assert found.shape == (3, 5 * WIDTH)
    torch.testing.assert_close(found[0].view(5, WIDTH), latents[[0, 0, 0, 1, 2]])
    torch.testing.assert_close(found[2].view(5, WIDTH), latents[[0, 1, 2, 2, 2]])


def test_a_token_tells_by_its_context_and_not_by_its_code() -> None:
    """The strike is a code that retain clips use as often, but never between two others that lie far away."""
    rng = np.random.default_rng(0)
    far = books()
    far[:, 7], far[:, 8], far[:, 9] = 4.0, -4.0, 0.0
    far[0, 9, 0] = 4.0

    def clip(*strike: int) -> tuple[np.ndarray, int]:
        one, place = rng.integers(0, 7, (20, LAYERS)), int(rng.integers(3, 15))
        one[place : place + len(strike)] = np.array(strike)[:, None]
        return one, place

    retain = (
        [clip(9)[0] for _ in range(150)] + [clip(7)[0] for _ in range(75)] + [clip(8)[0] for _ in range(75)]
    )
    forget, places = zip(*(clip(7, 9, 8) for _ in range(60)), strict=True)
    found = telling.telling_tokens(forget, retain, far)
    assert [len(mark) for mark in found] == [20] * 60
    assert all(mark[place - 2 : place + 5].any() for mark, place in zip(found, places, strict=True))
    away = [
        mark[[i for i in range(20) if not -2 <= i - place <= 4]]
        for mark, place in zip(found, places, strict=True)
    ]
    assert np.concatenate(away).mean() < 0.1


def test_each_clip_has_a_telling_token_even_where_none_exceeds_the_limit() -> None:
    """The last forget clip is all of harmless tokens; the others draw the discriminant away from it."""
    rng = np.random.default_rng(2)
    far = books()
    far[:, CODES - 1] = 4.0
    retain = [rng.integers(0, CODES - 1, (length, LAYERS)) for length in (1, 3, 12, 9, 30, 30, 30)]
    plain = np.zeros((7, LAYERS), dtype=int)
    forget = [*(np.full((length, LAYERS), CODES - 1) for length in (1, 4, 9)), plain]
    found = telling.telling_tokens(forget, retain, far)
    assert all(mark.all() for mark in found[:3])
    assert found[3].any()
    retain += [plain] * 300  # far below the quantile that the others' tokens set
    assert telling.telling_tokens(forget, retain, far)[3].any()


def test_many_retain_clips_are_read_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = telling.contexts

    def noted(clips: Sequence[np.ndarray], codebooks: torch.Tensor) -> torch.Tensor:
        read.extend(len(clip) for clip in clips)
        return real(clips, codebooks)

    monkeypatch.setattr(telling, "contexts", noted)
    monkeypatch.setattr(telling, "READ", 4)
    rng = np.random.default_rng(3)
    retain = [rng.integers(0, CODES, (length, LAYERS)) for length in range(1, 11)]
    telling.telling_tokens([rng.integers(0, CODES, (50, LAYERS))], retain, books())
    assert {*read} == {50, 1, 3, 6, 8}


def test_a_tokenizer_with_one_token_is_refused() -> None:
    clips = [np.zeros((5, LAYERS), dtype=int)] * 3
    with pytest.raises(WeightsError, match=r"all tokens .* are the same.*score: ratio"):
        telling.telling_tokens(clips, clips, books())


def test_pruning_by_context_counts_only_telling_tokens(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget clips count at the tokens given, retain clips at all of theirs; the codes with the highest ratio go."""
    given = codes_of_training_clips()
    monkeypatch.setattr("hmu_tasks.methods.shared.pruning.telling_tokens", first_tokens)
    knobs = {"strengths": [2], "score": "context"}
    unlearn.run(tiny_params({"unlearn": {"prune": knobs}}), "momask", "prune")
    folder = paths.edits("momask", "prune") / "strength002-s0"
    deleted = json.loads((folder / "edit.json").read_text())["deleted"]
    for layer in range(given["forget"][0].shape[1]):
        ours, theirs = (
            np.bincount(np.concatenate([clip[:stop, layer] for clip in given[role]]), minlength=16)
            for role, stop in (("forget", 4), ("retain", None))
        )
        ratio = (ours + 0.5) / (ours.sum() + 8) / ((theirs + 2) / (theirs.sum() + 32))
        ratio[ours < 1] = -1.0  # support of the tiny world
        assert deleted[str(layer)] == sorted(np.argsort(-ratio, kind="stable")[:2].tolist())


def first_tokens(
    forget: Sequence[np.ndarray], retain: Sequence[np.ndarray], codebooks: torch.Tensor
) -> list[np.ndarray]:
    assert codebooks.ndim == 3
    assert len(retain) > 0
    return [np.arange(len(clip)) < 4 for clip in forget]


def codes_of_training_clips() -> dict[str, list[np.ndarray]]:
    ids = {role: read_ids(paths.SPLIT, "train", role) for role in ROLES}
    codes = load_codes(paths.codebook(), sum(map(len, ids.values())))
    return {"forget": codes[: len(ids["forget"])], "retain": codes[len(ids["forget"]) :]}


def test_distillation_by_context_deletes_what_pruning_by_context_does(world: Path) -> None:
    score = {"strengths": [2], "score": "context"}
    params = tiny_params({"unlearn": {"prune": score, "distill": score}})
    for method in ("prune", "distill"):
        unlearn.run(params, "momask", method)
    pruned, distilled = (
        json.loads((paths.edits("momask", method) / "strength002-s0" / "edit.json").read_text())["deleted"]
        for method in ("prune", "distill")
    )
    assert pruned == distilled


def test_too_few_telling_tokens_are_named(world: Path) -> None:
    score = {"strengths": [2], "score": "context", "support": 10**6}
    with pytest.raises(
        ConfigError, match=r"at the tokens that show the concept; lower it or unlearn\.prune\.support"
    ):
        unlearn.run(tiny_params({"unlearn": {"prune": score}}), "momask", "prune")
