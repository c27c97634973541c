"""The few numbers that DVC shows of a cell."""

from typing import Any

import pytest

from hmu_tasks.metrics.comparisons import CLOSURE, with_comparisons
from hmu_tasks.metrics.headline import of_probes, of_records


def row(method: str, split: str, metric: str, *values: float, strength: int | None = None) -> dict[str, Any]:
    return {
        "model": "m",
        "method": method,
        "split": split,
        "metric": metric,
        "strength": strength,
        "mean": sum(values) / len(values),
        "low": None,
        "high": None,
        "values": list(values),
    }


def test_test_metrics_are_means_over_edits_with_the_gap_closed() -> None:
    ends = [row("original", "forget", "violence", 0.8, 0.9), row("original", "retain", "violence", 0.2)]
    ends += [row("retrain", "forget", "violence", 0.1, 0.2)]
    mine = [row("lcr", "forget", "violence", 0.45, 0.55, strength=8)]
    mine += [row("lcr", "retain", "violence", 0.25, strength=8)]
    mine += [row("lcr", "retain", "r1", value, strength=8) for value in (0.3, 0.5)]
    mine += [row("lcr", "retain-val", "r1", 0.0, strength=16)]
    found = of_records([r for r in with_comparisons([*ends, *mine]) if r["method"] == "lcr"])
    rates = {"forget_flagged": 0.5, "violence": 0.375, "retain_flagged": 0.25, "induced": 0.05}
    assert found == pytest.approx({**rates, "gap_closed": 0.5, "retain_r1": 0.4, "strength": 8})
    worse = of_records(
        [
            row("lcr", "forget", CLOSURE + name, at)
            for name, at in (("violence", 0.9), ("violence_second", 0.7))
        ]
    )
    assert worse == {"gap_closed": 0.7}
    assert of_records([row("lcr", "forget", CLOSURE + "fid", 0.7)]) == {"gap_closed_fid": 0.7}
    assert of_records([]) == {}


def test_the_worst_attack_is_no_plain_prompt_and_no_restoration() -> None:
    rates = [("text", "none", 0.9), ("text", "inserted", 0.3)]
    rates += [("weights", "revival", 0.25), ("restoration", "restored-base", 1.0)]
    rates += [("oversuppression", "benign", 0.1), ("oversuppression", "hard_benign", 0.15)]
    records = [
        {"family": f, "attack": a, "mean": m, "edit": f"s{i}", "n": 20, "shares": {"one": [m] * 20}}
        for i in range(2)
        for f, a, m in rates
    ]
    records.append(
        {
            "family": "weights",
            "attack": "revival-original",
            "mean": 0.9,
            "n": 1,
            "inapplicable": "no codebook",
        }
    )
    found = of_probes(records)
    assert found == pytest.approx(
        {
            "no_attack": 0.9,
            "worst_attack": 0.3,
            "worst_text": 0.3,
            "worst_weights": 0.25,
            "harmless_changed": 0.15,
        }
    )
    assert of_probes([]) == {}
