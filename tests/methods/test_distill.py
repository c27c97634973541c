"""Distillation: what noise does, what students learn, what an edit says of itself, and that a killed run continues."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_world import tiny_params

from hmu_tasks import unlearn
from hmu_tasks.methods.shared import distillation
from hmu_tasks.methods.shared.distillation import noised
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
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


STEPS = {"strengths": [0, 60], "tokenizer": {"steps": 12}, "networks": {"steps": 6}}


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


def test_a_student_without_noise_has_nothing_to_learn() -> None:
    """The divergence from the teacher is zero where both are equal, and reads the same hidden tokens."""
    config = MaskTransformerConfig(
        codes=8, code_width=4, latent=8, layers=1, heads=2, feedforward=8, text_width=4, dropout=0.3
    )
    teacher = MaskTransformer(config, seed=1).requires_grad_(False).eval()
    for parameter in teacher.parameters():
        parameter.mul_(3.0)

    class Known:
        def batch(self, rows: Any, generator: torch.Generator, device: torch.device) -> Any:
            codes = torch.randint(8, (len(rows), 5, 1), generator=generator)
            return codes, torch.ones(len(rows), 4), torch.full((len(rows),), 5)

    def loss(share: float) -> float:
        student = noised(teacher, share, seed=3).train()
        found = distillation.network_loss(student, teacher, Known(), CPU)  # type: ignore[arg-type]
        torch.manual_seed(0)
        value, _ = found(torch.arange(6).numpy(), torch.Generator().manual_seed(5))
        return float(value.detach())

    assert loss(0.0) == pytest.approx(0.0, abs=1e-6)
    assert loss(0.5) > 0.01


@pytest.fixture
def cells(world: Path) -> Path:
    return paths.edits("momask", "distill")


def distilled(**knobs: Any) -> Bundle:
    unlearn.run(tiny_params({"unlearn": {"distill": {**STEPS, **knobs}}}), "momask", "distill")
    return load_bundle(paths.edits("momask", "distill") / "strength060-s0", CPU)


def test_an_edit_has_fewer_codes_new_weights_and_says_so(cells: Path) -> None:
    edited, original = distilled(), load_bundle(paths.edits("momask", "original") / "s0", CPU)
    assert load_bundle(cells / "strength000-s0", CPU).digest == original.digest
    report = json.loads((cells / "strength060-s0" / "edit.json").read_text())
    before, after = original.model.codebooks, edited.model.codebooks
    assert after.shape[1] == before.shape[1] - 2
    for layer, codes in report["deleted"].items():
        stay = sorted({*range(before.shape[1])} - {*codes})
        assert torch.equal(after[int(layer)], before[int(layer)][stay])
    # Codebooks keep the bytes of the rows that stay; everything that is trained has others.
    changed = set(report["tokenizer"]["changed"])
    assert changed
    assert not any("codebook" in name for name in changed)
    assert all(name.startswith(("encoder.", "decoder.")) for name in changed)
    assert any(name.startswith("encoder.") for name in changed)
    assert set(report["base"]["changed"]) >= {"cond_emb.weight", "token_emb.weight"}
    assert "deleted" not in report["base"]
    assert weights.digest(cells / "strength060-s0" / "text") == weights.digest(
        paths.edits("momask", "original") / "s0" / "text"
    )
    assert report["cost"]["gradient_steps"] == 12 + 2 * 6


def test_a_tokenizer_learns_its_teachers_latents_and_motions() -> None:
    """Ten times nearer to the latents, and closer to the motions, with the codebooks as they were."""
    rng = np.random.default_rng(0)
    angles = [rng.uniform(0.05, 0.4, 6) * np.arange(40)[:, None] + rng.uniform(0, 6, 6) for _ in range(24)]
    clips = ClipSet([str(i) for i in range(24)], [np.sin(a).astype(np.float32) for a in angles], [[]] * 24)
    teacher = RVQVAE(TINY, seed=1).requires_grad_(False)
    for parameter in teacher.encoder.parameters():
        parameter.mul_(2.0)
    teacher = teacher.with_codebooks(torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(2)))
    course = SimpleNamespace(
        tokenizer=Tokenizer(teacher, torch.zeros(6), torch.ones(6)),
        knobs=SimpleNamespace(window=16, latents=1.0),
        clips=clips,
        given=SimpleNamespace(device=CPU),
    )
    student = noised(teacher, 0.6, seed=3)
    loss_of = distillation.tokenizer_loss(student, course)  # type: ignore[arg-type]

    def errors() -> tuple[float, float]:
        _, values = loss_of(np.arange(24), torch.Generator().manual_seed(9))
        return float(values["latents"].detach()), float(values["reconstruction"].detach())

    before = errors()
    schedule = Schedule(300, 8, 0.003, evaluate_every=300)
    fit(student, loss_of, np.zeros(24), schedule=schedule, seed=4, device=CPU)
    after = errors()
    assert after[0] < 0.1 * before[0]
    assert after[1] < before[1]
    assert torch.equal(student.codebooks, teacher.codebooks)


def test_a_killed_run_continues_and_ends_with_the_same_bytes(
    cells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HMU_CHECKPOINT_SECONDS", "0.001")
    knobs = tiny_params({"unlearn": {"distill": {**STEPS, "strengths": [60]}}})
    unlearn.run(knobs, "momask", "distill")
    expected = weights.digest(cells)
    seen: list[int] = []

    def die(done: int, total: int) -> None:
        assert total == 24
        seen.append(done)
        if done == 15:
            raise Killed

    with pytest.raises(Killed):
        unlearn.run(knobs, "momask", "distill", die)
    assert seen == [*range(1, 16)]
    again: list[int] = []
    unlearn.run(knobs, "momask", "distill", lambda done, _: again.append(done))
    assert again[0] >= 14
    assert again[-1] == 24
    assert weights.digest(cells) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strengths": [101]}, "less than or equal to 100"),
        ({"pruning": {"codes": 15}}, "unlearn.distill.pruning.codes is 15 codes, but .* two codes must stay"),
        ({"window": 10}, "multiple of 4"),
        ({"networks": {"steps": 0}}, "greater than or equal to 1"),
    ],
)
def test_knobs_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match=message):
        tiny_params({"unlearn": {"distill": changes}})


def test_too_many_codes_name_the_parameter(cells: Path) -> None:
    with pytest.raises(ConfigError, match=r"unlearn\.distill\.pruning\.codes is 12, but only \d+ codes"):
        distilled(pruning={"codes": 12, "support": 10_000})
