"""Distillation: what noise does, what students learn, what an edit says of itself, and that a killed run continues."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_world import tiny_params

from hmu_tasks import unlearn
from hmu_tasks.methods.shared.distillation import network_loss, noised, tokenizer_loss
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.networks import weights
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.training.loop.batches import ClipSet
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import Schedule, fit

CPU = torch.device("cpu")
TINY = TokenizerConfig(
    features=6, width=8, code_width=4, codes=8, quantizers=2, depth=1, positions_start=1, positions_stop=4
)


STEPS = {"strengths": [0, 2], "tokenizer": {"steps": 12}, "networks": {"steps": 6}}


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


def test_an_edit_has_fewer_codes_new_weights_and_says_so(cells: Path) -> None:
    edited, original = distilled(), load_bundle(paths.edits("momask", "original") / "s0", CPU)
    assert load_bundle(cells / "strength000-s0", CPU).digest == original.digest
    unlearn.run(tiny_params(), "momask", "prune")
    teacher = paths.edits("momask", "prune") / "strength002-s0"
    assert torch.equal(edited.model.codebooks, load_bundle(teacher, CPU).model.codebooks)
    assert weights.digest(cells / "strength002-s0" / "text") == weights.digest(teacher / "text")
    report = json.loads((cells / "strength002-s0" / "edit.json").read_text())
    assert report["deleted"] == json.loads((teacher / "edit.json").read_text())["deleted"]
    assert len(report["deleted"]["0"]) == 2
    # Codebooks keep the bytes of the rows that stay; what is trained has others.
    parts = {name.split(".")[0] for name in report["tokenizer"]["changed"]}
    assert parts == {"encoder", "decoder"}
    assert all("codebook" in name for name in report["tokenizer"]["deleted"])
    for part in ("base", "residual"):
        assert "cond_emb.weight" in report[part]["changed"]
        assert not any(row["values"] for row in report[part].get("deleted", {}).values())
        rows = json.loads((teacher / "edit.json").read_text())[part]["deleted"]
        # A residual of two layers has no tables of layers between. What is gone counts as changed.
        for name in (name for name, row in rows.items() if row["values"]):
            entry = report[part]["changed"][name]
            assert entry["values"] > rows[name]["values"]
            assert entry["shape"] == rows[name]["shape"]
    assert report["cost"]["gradient_steps"] == 12 + 2 * 6


def test_a_network_without_noise_has_nothing_to_learn_from_its_teacher() -> None:
    """Student and teacher read the same hidden tokens, texts and dropout, so that the divergence starts at zero."""
    config = MaskTransformerConfig(
        codes=8, code_width=4, latent=8, layers=1, heads=2, feedforward=8, text_width=4, dropout=0.3
    )
    teacher = MaskTransformer(config, seed=1).requires_grad_(False).eval()
    for parameter in teacher.parameters():
        parameter.mul_(3.0)
    codes = [np.random.default_rng(i).integers(0, 8, (5 + i % 3, 1)) for i in range(6)]
    known = CodeSet(codes, [["a"]] * 6, {"a": torch.ones(1, 4)})

    def values(share: float, imitation: float = 1.0) -> dict[str, float]:
        student = noised(teacher, share, seed=3).train() if share else copy.deepcopy(teacher).train()
        loss_of = network_loss(student, teacher, known, CPU, imitation=imitation)
        torch.manual_seed(0)
        _, found = loss_of(np.arange(6), torch.Generator().manual_seed(5))
        return {name: float(value.detach()) for name, value in found.items()}

    assert values(0.0)["divergence"] == pytest.approx(0.0, abs=1e-6)
    mixed = values(0.5, imitation=0.25)
    assert mixed["divergence"] > 0.01
    expected = 0.25 * mixed["divergence"] + 0.75 * mixed["cross-entropy"]
    assert mixed["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_tokenizer_learns_its_teachers_latents_and_motions() -> None:
    """Much nearer to the latents, and closer to the motions, with the codebooks as they were."""
    rng = np.random.default_rng(0)
    angles = [rng.uniform(0.05, 0.4, 6) * np.arange(40)[:, None] + rng.uniform(0, 6, 6) for _ in range(24)]
    clips = ClipSet([str(i) for i in range(24)], [np.sin(a).astype(np.float32) for a in angles], [[]] * 24)
    teacher = RVQVAE(TINY, seed=1).requires_grad_(False)
    for parameter in teacher.encoder.parameters():
        parameter.mul_(2.0)
    teacher = teacher.with_codebooks(torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(2)))
    student = noised(teacher, 0.6, seed=3)
    known = Tokenizer(teacher, torch.zeros(6), torch.ones(6))
    loss_of = tokenizer_loss(student, known, clips, window=16, latents=1.0)

    def errors() -> tuple[float, float]:
        _, values = loss_of(np.arange(24), torch.Generator().manual_seed(9))
        return float(values["latents"].detach()), float(values["reconstruction"].detach())

    before = errors()
    schedule = Schedule(300, 8, 0.003, evaluate_every=300)
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
        assert total == 48
        seen.append(done)
        if done == 40:
            raise Killed

    with pytest.raises(Killed):
        unlearn.run(knobs, "momask", "distill", die)
    assert sorted({*seen}) == [*range(1, 41)]
    again: list[int] = []
    unlearn.run(knobs, "momask", "distill", lambda done, _: again.append(done))
    assert again[:4] == [12, 18, 24, 36]
    assert again[4] >= 39
    assert again[-1] == 48
    assert weights.digest(cells) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strengths": [15]}, "unlearn.distill.strengths is 15 codes, but .* two codes must stay"),
        ({"tokenizer": {"noise": 0.0}}, "greater than 0"),
        ({"networks": {"noise": 1.5}}, "less than or equal to 1"),
        ({"tokenizer": {"window": 10}}, "multiple of 4"),
        (
            {"tokenizer": {"window": 200}},
            "unlearn.distill.tokenizer.window is 200, but ingest.max_frames 200",
        ),
        ({"networks": {"steps": 0}}, "greater than or equal to 1"),
    ],
)
def test_knobs_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match=message):
        tiny_params({"unlearn": {"distill": changes}})


def test_too_many_codes_name_the_parameter(cells: Path) -> None:
    with pytest.raises(ConfigError, match=r"unlearn\.distill\.strengths is 2, but only \d+ codes"):
        distilled(support=10_000)
