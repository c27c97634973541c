"""Distillation: what noise does, what students learn, what an edit says of itself, and that a killed run continues."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_world import tiny_params

from hmu_tasks import unlearn
from hmu_tasks.methods.shared.distillation import Lesson, distillation_loss, noised
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.networks import weights
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.training.loop.batches import ClipSet
from hmu_tasks.training.loop.fit import Schedule, fit

CPU = torch.device("cpu")
TINY = TokenizerConfig(
    features=6, width=8, code_width=4, codes=8, quantizers=2, depth=1, positions_start=1, positions_stop=4
)


STEPS = {"strengths": [0, 2], "steps": 12}


class Killed(BaseException):
    """Stands for the end of the process."""


def test_noise_mixes_parameters_with_the_initialisation_of_the_seed_and_leaves_codebooks() -> None:
    teacher = RVQVAE(TINY, seed=1).with_codebooks(torch.randn(2, 8, 4)).requires_grad_(False)
    fresh = RVQVAE(TINY, seed=7)
    student = noised(teacher, 0.25, seed=7)
    names = dict(teacher.named_parameters())
    assert names
    for name, parameter in student.named_parameters():
        expected = 0.75 * names[name] + 0.25 * dict(fresh.named_parameters())[name]
        torch.testing.assert_close(parameter.detach(), expected.detach())
        assert parameter.requires_grad
        assert not names[name].requires_grad
    assert torch.equal(student.codebooks, teacher.codebooks)
    whole = noised(teacher, 1.0, seed=7)
    assert all(torch.allclose(a, b) for a, b in zip(whole.parameters(), fresh.parameters(), strict=True))


@pytest.fixture
def cells(world: Path) -> Path:
    return paths.edits("momask", "distill")


def distilled(**knobs: Any) -> Bundle:
    unlearn.run(tiny_params({"unlearn": {"distill": {**STEPS, **knobs}}}), "momask", "distill")
    return load_bundle(paths.edits("momask", "distill") / "strength002-s0", CPU)


def test_an_edit_is_the_pruned_model_with_another_encoder_and_decoder(cells: Path) -> None:
    edited, original = distilled(), load_bundle(paths.edits("momask", "original") / "s0", CPU)
    assert load_bundle(cells / "strength000-s0", CPU).digest == original.digest
    unlearn.run(tiny_params(), "momask", "prune")
    teacher = paths.edits("momask", "prune") / "strength002-s0"
    for part in ("base", "residual", "text"):
        assert weights.digest(cells / "strength002-s0" / part) == weights.digest(teacher / part)
    assert torch.equal(edited.model.codebooks, load_bundle(teacher, CPU).model.codebooks)
    report = json.loads((cells / "strength002-s0" / "edit.json").read_text())
    assert report["deleted"] == json.loads((teacher / "edit.json").read_text())["deleted"]
    assert len(report["deleted"]["0"]) == 2
    parts = {name.split(".")[0] for name in report["tokenizer"]["changed"]}
    assert parts == {"encoder", "decoder"}
    assert all("codebook" in name for name in report["tokenizer"]["deleted"])
    assert report["cost"]["gradient_steps"] == 12


def test_a_tokenizer_learns_its_teachers_latents_and_motions() -> None:
    """Much nearer to the latents, and closer to the motions, with the codebooks as they were."""
    rng = np.random.default_rng(0)
    angles = [rng.uniform(0.05, 0.4, 6) * np.arange(40)[:, None] + rng.uniform(0, 6, 6) for _ in range(24)]
    clips = ClipSet([str(i) for i in range(24)], [np.sin(a).astype(np.float32) for a in angles], [[]] * 24)
    teacher = RVQVAE(TINY, seed=1).requires_grad_(False)
    for parameter in teacher.encoder.parameters():
        parameter.mul_(2.0)
    teacher = teacher.with_codebooks(torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(2)))
    student, lesson = (
        noised(teacher, 0.6, seed=3),
        Lesson(0.6, 1.0, window=16, steps=300, batch=8, rate=0.003),
    )
    known = Tokenizer(teacher, torch.zeros(6), torch.ones(6))
    loss_of = distillation_loss(student, known, clips, lesson)

    def errors() -> tuple[float, float]:
        _, values = loss_of(np.arange(24), torch.Generator().manual_seed(9))
        return float(values["latents"].detach()), float(values["reconstruction"].detach())

    before = errors()
    schedule = Schedule(lesson.steps, lesson.batch, lesson.rate, evaluate_every=lesson.steps)
    fit(student, loss_of, np.zeros(24), schedule=schedule, seed=4, device=CPU)
    after = errors()
    assert after[0] < 0.5 * before[0]
    assert after[1] < before[1]
    assert torch.equal(student.codebooks, teacher.codebooks)


def test_a_killed_run_continues_and_ends_with_the_same_bytes(
    cells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HMU_CHECKPOINT_SECONDS", "0.001")
    knobs = tiny_params({"unlearn": {"distill": {**STEPS, "strengths": [2, 4]}}})
    unlearn.run(knobs, "momask", "distill")
    expected = weights.digest(cells)
    seen: list[int] = []

    def die(done: int, total: int) -> None:
        assert total == 24
        seen.append(done)
        if done == 18:
            raise Killed

    with pytest.raises(Killed):
        unlearn.run(knobs, "momask", "distill", die)
    assert sorted({*seen}) == [*range(1, 19)]
    again: list[int] = []
    unlearn.run(knobs, "momask", "distill", lambda done, _: again.append(done))
    assert again[0] == 12
    assert again[1] >= 17
    assert again[-1] == 24
    assert weights.digest(cells) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strengths": [15]}, "unlearn.distill.strengths is 15 codes, but .* two codes must stay"),
        ({"noise": 0.0}, "greater than 0"),
        ({"noise": 1.5}, "less than or equal to 1"),
        ({"window": 10}, "multiple of 4"),
        ({"steps": 0}, "greater than or equal to 1"),
    ],
)
def test_knobs_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match=message):
        tiny_params({"unlearn": {"distill": changes}})


def test_too_many_codes_name_the_parameter(cells: Path) -> None:
    with pytest.raises(ConfigError, match=r"unlearn\.distill\.strengths is 2, but only \d+ codes"):
        distilled(support=10_000)
