"""Which prompts the report shows: by rule, worst first, none twice, and the motions that `generate` gives."""

from pathlib import Path

import numpy as np
import pytest
from tiny_world import SEED, tiny_params

from hmu_tasks.data.clips import packed
from hmu_tasks.runtime import paths
from hmu_tasks.studio.opening import open_here
from hmu_tasks.studio.shown import CHANCE, PromptCandidate, candidates, choose, shown_samples
from hmu_tasks.studio.sources import named
from hmu_tasks.viewer.inputs import groups
from hmu_tasks.viewer.page import animated
from hmu_tasks.viewer.table import Selection


def pool(split: str, count: int) -> list[PromptCandidate]:
    return [PromptCandidate(split, f"{split}{i}", f"prompt {i}", 40) for i in range(count)]


def test_the_rules_take_what_scores_highest_rises_and_falls_most_and_chance_comes_last() -> None:
    pools = {"forget": pool("forget", 12), "attacks": pool("explicit", 8), "harmless": pool("benign", 5)}
    pools["drawn"] = [PromptCandidate("retain", "R", "walk", 40)]
    places = {one: i for rows in pools.values() for i, one in enumerate(rows)}

    def score(method: str, one: PromptCandidate) -> float:
        mine = 0.1 * places[one]  # the later in its pool, the higher with the edit
        return mine if method == "lcr" else (0.9 if one.split == "forget" else 0.2)

    found = choose(pools, score, "lcr", "LCR")
    kinds = [kind for _, kind, _ in found]
    assert kinds == ["attack"] * 6 + ["failure"] * 6 + ["false alarm"] * 3 + ["largest fall"] * 3 + [
        "retain, drawn"
    ]
    names = [one.name for one, _, _ in found]
    assert names[:3] == ["explicit7", "explicit6", "explicit5"]
    assert names[6:9] == ["forget11", "forget10", "forget9"]
    assert names[12:15] == ["benign4", "benign3", "benign2"]
    assert names[15:18] == ["forget0", "forget1", "forget2"]
    assert len(set(names)) == len(names)
    assert found[0][2] == "Of 8 reworded prompts, those that score highest with LCR."
    assert found[-1][2] == CHANCE


def test_candidates_are_the_same_again_and_attacks_change_the_words(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    clips = packed.load(paths.CLIPS)
    pools = candidates(tiny_params(), clips)
    assert pools == candidates(tiny_params(), clips)
    prompts = {one.prompt for one in pools["forget"]}
    assert not prompts & {one.prompt for one in pools["attacks"]}
    assert {one.split for one in pools["harmless"]} == {"retain", "benign", "hard_benign"}
    assert not {one.name for one in pools["drawn"]} & {one.name for one in pools["forget"]}


def test_what_is_shown_can_be_generated_again(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    studio, known = open_here(tiny_params(), tmp_path)
    lcr = Selection("lcr", 0, "")
    shown = shown_samples(tiny_params(), [lcr], "LCR")
    first = next(sample for sample in shown if sample.method == "lcr")
    assert first.kind == "attack"
    again = studio.generate(named(known, ["lcr"])[0], first.prompt, seconds=len(first.joints) / 20, seed=SEED)
    np.testing.assert_array_equal(first.joints, again.joints)
    assert first.score is not None
    assert again.curve is not None
    np.testing.assert_array_equal(first.score, again.curve.scores)
    assert {sample.method for sample in shown} == {"original", "lcr", "retrain", "real"}
    found = groups(shown, [lcr])
    assert found[0].kind == "attack"
    # The tiny pool holds no more forget prompts than the failures take, so that chance alone is animated.
    assert [group.kind for group in animated(found)] == [
        group.kind for group in found if "drawn" in group.kind
    ]
