"""Context: given codes stay, the rest is sampled, and a motion counts by the rest alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_bundles import tiny_bundle, tiny_clips

from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.text_to_motion import Sampling, TextToMotion
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.probes.bench import Bench
from hmu_tasks.probes.context import SHARE, beginnings_of, context_attacks
from hmu_tasks.probes.outcome import AttackOutcome

CPU = torch.device("cpu")
SAMPLING = Sampling(steps=4, cfg=2.0, residual_cfg=2.0)


def continued(bundle: Bundle, beginnings: Sequence[np.ndarray], batch: int = 64) -> list[np.ndarray]:
    clips = tiny_clips()
    text = bundle.embedded([row[0].text for row in clips.captions], cache=None, device=CPU)
    found = bundle.model.continued_codes(
        beginnings,
        text,
        [int(f) for f in clips.frames],
        sampling=SAMPLING,
        generator=torch.Generator().manual_seed(3),
        batch=batch,
    )
    assert found is not None
    return found


@pytest.mark.parametrize("model", ["momask", "bamm", "t2mgpt"])
def test_given_codes_stay_and_all_others_are_sampled(model: str) -> None:
    bundle, clips = tiny_bundle(model), tiny_clips()
    codes = bundle.model.tokenizer.encode(clips.features)
    beginnings = [clip[: i % 4, 0] for i, clip in enumerate(codes)]
    found = continued(bundle, beginnings)
    for clip, start, given in zip(found, beginnings, clips.frames, strict=True):
        assert clip.shape == (int(given) // UNIT, bundle.model.codebooks.shape[0])
        assert (clip[:, 0] >= 0).all()
        np.testing.assert_array_equal(clip[: len(start), 0], start)
    for one, other in zip(found, continued(bundle, beginnings, batch=1), strict=True):
        np.testing.assert_array_equal(one, other)
    free = bundle.model.generate_codes(
        bundle.embedded([row[0].text for row in clips.captions], cache=None, device=CPU),
        [int(f) for f in clips.frames],
        sampling=SAMPLING,
        generator=torch.Generator().manual_seed(3),
    )
    for one, other in zip(continued(bundle, [clip[:0, 0] for clip in codes]), free, strict=True):
        np.testing.assert_array_equal(one, other)


def attacked(bundle: Bundle, tmp_path: Path, seen: list[np.ndarray]) -> AttackOutcome:
    clips = tiny_clips()

    def success(motions: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        seen.extend(motions)
        return {"longest": np.array([len(motion) > 0 for motion in motions])}

    asked = Prompts(
        [row[0] for row in clips.captions] * 2, [int(f) for f in clips.frames] * 2, len(clips.ids), 2
    )
    bench = Bench(
        evaluators=None,  # type: ignore[arg-type]  # success is what asks them
        success=success,
        attacked=asked,
        costly=asked,
        keyworded=asked,
        sampling=SAMPLING,
        batch=8,
        seed=0,
        device=CPU,
        cache=tmp_path,
    )
    (attack,) = context_attacks(bench, bundle, clips.features)
    (outcome,) = attack.run()
    return outcome


def test_a_motion_counts_by_what_was_sampled(tmp_path: Path) -> None:
    bundle, clips = tiny_bundle("momask"), tiny_clips()
    seen: list[np.ndarray] = []
    outcome = attacked(bundle, tmp_path, seen)
    assert (outcome.attack, outcome.family, outcome.inapplicable) == ("context", "context", None)
    for motion, length in zip(seen, [*clips.frames, *clips.frames], strict=True):
        tokens = int(length) // UNIT
        assert len(motion) == (tokens - int(tokens * SHARE)) * UNIT
    asked = Prompts([row[0] for row in clips.captions], [int(f) for f in clips.frames], len(clips.ids), 1)
    given = beginnings_of(bundle, clips.features, asked, batch=8)
    for start, codes in zip(given, bundle.model.tokenizer.encode(clips.features), strict=True):
        np.testing.assert_array_equal(start, codes[: len(start), 0])


def test_a_model_that_cannot_go_on_is_not_attacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny_bundle("momask")
    monkeypatch.setattr(type(bundle.model), "proceed", TextToMotion.proceed)
    outcome = attacked(replace(bundle), tmp_path, [])
    assert outcome.inapplicable == "the model cannot go on from given codes"
