"""Evaluators, prompts and motions of the tiny world, for tests of evaluation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks import evaluate
from hmu_tasks.evaluation.evaluators import Evaluators, load_evaluators
from hmu_tasks.evaluation.prompts import written_prompts
from hmu_tasks.evaluation.session import Session
from hmu_tasks.evaluation.splits import Protocol
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

CPU = torch.device("cpu")
ORIGINAL = paths.edits("momask", "original") / "s0"
EDITED = paths.edits("momask", "lcr") / "strength002-s0"
PROMPTS = written_prompts([("a man kicks", 2.0), ("a person walks", 3.0), ("", 2.0)], repeats=2)
PROTOCOL = Protocol(retrieval_batch=32, diversity_pairs=300, seed=1, jerk=0.0)


@pytest.fixture
def bundle(world: Path) -> Bundle:
    return load_bundle(ORIGINAL, CPU)


@pytest.fixture
def evaluators(world: Path) -> Evaluators:
    return load_evaluators(paths.component("evaluator"), paths.component("classifier"), CPU)


@pytest.fixture
def session(world: Path) -> Session:
    return evaluate._open(tiny_params())


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def motions(n: int, frames: int = 40, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((frames, 263)).astype(np.float32) * 0.1 for _ in range(n)]


def clip_set(n: int) -> ClipSet:
    captions = [
        [CaptionWords(f"a man kicks {i}", ["a/DET", "man/NOUN", "kick/VERB", f"{i}/NUM"])] for i in range(n)
    ]
    return ClipSet([f"c{i}" for i in range(n)], motions(n), captions)
