"""Metrics of the released evaluation that no other test compares: its sampled pairs and its matching score."""

from pathlib import Path

import numpy as np
import pytest

from hmu_tasks.metrics.distribution import pair_distance
from hmu_tasks.metrics.retrieval import multimodal_distance

pytestmark = pytest.mark.parity


def test_diversity_of_the_unlearning_evaluation(shared: Path) -> None:
    golden = np.load(shared / "golden/f_hmu_eval.npz")
    made = np.concatenate([golden[f"ep{i}"] for i in range(3)])
    stream = np.random.RandomState(int(golden["np_seed"]))
    first, second = (stream.choice(len(made), len(made), replace=False) for _ in range(2))
    for name in ("result", "result_empty_toxic"):
        assert pair_distance(made, first, second) == pytest.approx(
            float(golden[f"{name}_diversity"]), rel=1e-6
        )


def test_matching_score_is_the_mean_of_the_diagonal(shared: Path) -> None:
    golden = np.load(shared / "golden/f_metrics.npz")
    mean = multimodal_distance(golden["emb_text"], golden["emb_motion"])
    assert mean == pytest.approx(float(golden["matching_trace"]), rel=1e-6)
