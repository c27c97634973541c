"""NPO: the paper's loss, its limits, and what one step does to forget and retain clips."""

import math

import numpy as np
import pytest
import torch

from hmu_tasks.methods import finetune, npo
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.training.loop.code_batches import CodeSet

CPU = torch.device("cpu")
ROWS = np.arange(4)


def network() -> MaskTransformer:
    config = MaskTransformerConfig(
        codes=12, code_width=8, latent=16, layers=1, heads=2, feedforward=16, text_width=8, dropout=0.1
    )
    return MaskTransformer(config, seed=3).requires_grad_(False).eval()


def clips(seed: int, low: int, high: int) -> CodeSet:
    rng = np.random.default_rng(seed)
    codes = [rng.integers(low, high, size=(6 + i, 2)) for i in range(4)]
    vectors = {f"{seed}-{i}": torch.from_numpy(rng.standard_normal(8).astype(np.float32)) for i in range(4)}
    return CodeSet(codes, [[text] for text in vectors], vectors)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_the_loss_is_the_papers() -> None:
    policy, reference = torch.tensor([-3.0, -1.0]), torch.tensor([-2.0, -2.0])
    by_hand = [
        -(2 / 0.5) * math.log(1 / (1 + math.exp(0.5 * (p - r)))) for p, r in ((-3.0, -2.0), (-1.0, -2.0))
    ]
    found = npo.preference(policy, reference, beta=0.5)
    assert float(found) == pytest.approx(sum(by_hand) / 2, rel=1e-6)


def test_a_small_beta_is_gradient_ascent() -> None:
    reference = torch.tensor([-2.0, -2.0])
    slopes = []
    for beta in (1e-4, 5.0):
        policy = torch.tensor([-9.0, -1.0], requires_grad=True)
        npo.preference(policy, reference, beta=beta).backward()
        assert policy.grad is not None
        slopes.append(policy.grad)
    torch.testing.assert_close(slopes[0], torch.full((2,), 0.5), rtol=1e-3, atol=0)
    assert slopes[1][0] < 1e-6  # far less likely than before: left alone
    assert slopes[1][1] > 0.9


def test_the_ratio_starts_at_one_whatever_is_drawn() -> None:
    original = network()
    objective = npo.objective(
        original, clips(1, 0, 6), clips(2, 6, 12), device=CPU, beta=0.5, retain_weight=0.0
    )
    student = network().train()
    loss, values = objective.loss_of(student, ROWS, generator())
    assert float(loss) == pytest.approx(2 / 0.5 * math.log(2), rel=1e-6)
    assert values["retain"] > 0


@pytest.mark.parametrize("kind", ["npo", "ascent"])
def test_steps_make_forget_clips_unlikely_and_keep_the_others(kind: npo.Loss) -> None:
    original, forget, retain = network(), clips(1, 0, 6), clips(2, 6, 12)
    before = {name: value.clone() for name, value in original.state_dict().items()}
    objective = npo.objective(original, forget, retain, device=CPU, loss=kind)
    student = network().train().requires_grad_(True)

    def likelihood(known: CodeSet) -> float:
        read = known.batch(ROWS, generator(), CPU)
        with torch.no_grad():
            return float(npo.log_likelihood(student.eval(), read, generator()).mean())

    start = likelihood(forget), likelihood(retain)
    optimiser = torch.optim.Adam(student.parameters(), lr=0.01)
    for step in range(15):
        loss, _ = objective.loss_of(student.train(), ROWS, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert likelihood(forget) < start[0] - 0.5
    assert likelihood(retain) > start[1]
    assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())


def test_fine_tuning_reads_retain_clips_only() -> None:
    original, retain = network(), clips(2, 6, 12)
    losses = [
        finetune.objective(original, forget, retain, device=CPU).loss_of(original, ROWS, generator())[0]
        for forget in (clips(1, 0, 6), clips(9, 0, 12))
    ]
    assert torch.equal(*losses)
    assert finetune.objective(original, retain, retain, device=CPU).lengths.tolist() == [6, 7, 8, 9]
