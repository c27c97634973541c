"""What a training step works on: its batch, its seed, its learning rate and its optimiser."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.training.loop.fit import (
    Schedule,
    epoch_batches,
    learning_rate,
    step_seed,
)


def test_no_clip_at_all_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(DataError, match="no clip to train on"):
        next(epoch_batches(np.array([]), 4, 0))


def test_batches_cover_an_epoch_and_hold_similar_lengths() -> None:
    lengths = np.random.default_rng(0).integers(10, 50, 64)
    batches = epoch_batches(lengths, 8, 3)
    epoch = [next(batches) for _ in range(8)]
    assert sorted(np.concatenate(epoch).tolist()) == list(range(64))
    assert max(np.ptp(lengths[rows]) for rows in epoch) < np.ptp(lengths) / 2
    assert [b.tolist() for b in epoch] != [next(batches).tolist() for _ in range(8)]


def test_uneven_and_few_clips() -> None:
    batches = epoch_batches(np.zeros(14), 4, 0)
    first = [next(batches) for _ in range(3)]
    assert [len(rows) for rows in first] == [4, 4, 4]
    assert len(np.unique(np.concatenate(first))) == 12
    few = epoch_batches(np.zeros(3), 4, 0)
    assert [sorted(next(few).tolist()) for _ in range(2)] == [[0, 1, 2]] * 2


def test_step_seeds_differ_by_step_and_by_seed() -> None:
    seeds = {step_seed(seed, step) for seed in range(20) for step in range(50)}
    assert len(seeds) == 1000
    assert step_seed(1, 2) == step_seed(1, 2)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_learning_rate_warms_up_and_decays() -> None:
    schedule = Schedule(steps=110, batch=1, rate=2.0, warmup=10)
    rates = [learning_rate(step, schedule) for step in range(111)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == 2.0
    assert rates[60] == pytest.approx(2.0 * 0.51)
    assert rates[110] == pytest.approx(0.04)
    assert sorted(rates[10:], reverse=True) == rates[10:]
    assert learning_rate(0, replace(schedule, warmup=0)) == 2.0


def test_the_optimiser_is_torchs_own_to_the_bit_and_does_not_load_its_compiler() -> None:
    code = """
import sys
import torch
from hmu_tasks.training.loop.adamw import AdamW

def network():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Linear(7, 2), torch.nn.Linear(4, 4))  # the last is idle

ours, theirs = network(), network()
optimiser = AdamW(ours.parameters(), rate=0.1, betas=(0.9, 0.99), decay=0.01)
inputs = torch.randn(6, 11, 5)

def train(model, optimiser, batch):
    optimiser.zero_grad()
    model[1](model[0](batch)).square().sum().backward()
    optimiser.step()

for step, batch in enumerate(inputs):
    optimiser.rate = 0.1 / (step + 1)
    train(ours, optimiser, batch)
    if step == 2:  # continued
        state = {n: {k: v.clone() for k, v in one.items()} for n, one in optimiser.state_dict().items()}
        optimiser = AdamW(ours.parameters(), rate=0.1, betas=(0.9, 0.99), decay=0.01)
        optimiser.load_state_dict(state)
assert "torch._dynamo" not in sys.modules
reference = torch.optim.AdamW(theirs.parameters(), lr=0.1, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
for step, batch in enumerate(inputs):
    reference.param_groups[0]["lr"] = 0.1 / (step + 1)
    train(theirs, reference, batch)
assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
