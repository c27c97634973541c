"""Made-up records, matrices and attacks of realistic shape for the report's tests."""

from typing import Any

import numpy as np

from hmu_tasks.viewer.table import Selection

K = (4, 8, 16, 24, 32, 48, 64)
SELECTION = Selection(
    method="lcr",
    strength=16,
    rule="largest gap closure within a retain R@1 loss of 0.03",
    met=True,
    limit=0.03,
)
# A second method with one edit seed, and the second model's only one.
ERASURE = Selection(
    "erasure", 100, "largest gap closure within a retain R@1 loss of 0.03", met=True, limit=0.03
)
NPO = Selection("npo", 200, "least loss taken", model="bamm", met=False, limit=0.03)
NOISE = np.random.default_rng(7).standard_normal((20, 400))  # of each split, shared by all models
REAL = {"r1": 0.94, "diversity": 13.4, "peak_jerk": 310.0, "mm_dist": 2.9, "violence": 0.99}


def make_records(*, violence: bool = True, probes: bool = True, old: bool = False) -> list[dict[str, Any]]:
    """Records of one model and of LCR; `old`: as they were when every strength was measured on the test split, too."""
    rng = np.random.default_rng(1)
    rows: list[dict[str, Any]] = []

    def add(
        model: str, method: str, edit: str, strength: int | None, seed: int, split: str, **values: float
    ) -> None:
        repeats = 1 if split.endswith("-val") else 5 if strength in (None, 16, 100, 200) else 2
        for metric, value in values.items():
            if not violence and "violence" in metric:
                continue
            found = value * (1 + 0.015 * rng.standard_normal(repeats))
            mean = float(found.mean())
            shared = NOISE[sum(split.encode()) % 20]
            replicates = mean + 0.02 * value * (0.8 * shared + 0.6 * rng.standard_normal(400))
            low, high = np.quantile(replicates, [0.025, 0.975])
            n = {"forget-keyword": 290, "forget-free": 150}.get(split, 200 if split.endswith("-val") else 440)
            rows.append(
                {
                    "dataset": "synthetic",
                    "concept": "violence",
                    "model": model,
                    "method": method,
                    "edit": edit,
                    "strength": strength,
                    "seed": seed,
                    "split": split,
                    "metric": metric,
                    "mean": mean,
                    "low": float(low),
                    "high": float(high),
                    "interval": "bootstrap",
                    "n": n,
                    "repeats": repeats,
                    "values": [float(v) for v in found],
                    "replicates": replicates,
                    **({"width": 256} if metric == "fid" and not old else {}),
                }
            )

    def both(model: str, method: str, edit: str, strength: int | None, seed: int, s: float, d: float) -> None:
        """s: suppression 0..1, d: damage 0..1."""
        picked = strength in (None, 16, 100, 200)
        for suffix in ("", "-val") if picked or old else ("-val",):
            forget = {
                "fid": 19 + 25 * s + 30 * d,
                "mm_safe": 8.7 + 1.4 * s,
                "r1": 0.52 - 0.13 * s,
                "diversity": 13 + 0.7 * s - 2 * d,
                "violence": 0.74 - 0.62 * s,
                "peak_jerk": 300 + 60 * d,
                "ncs1": 0.6 - 0.4 * s,
                "ncs10": 0.9 - 0.4 * s,
                "toxic_distance": 0.9 + 0.2 * s,
                "notox_accuracy": 0.1 + 0.5 * s,
                "foot_skate": 0.1 - 0.05 * d,
                "area_under_jerk": 700 + 90 * d,
            }
            retain = {
                "fid": 7.2 + 9 * d,
                "kid": 0.21 + 0.3 * d,
                "r1": 0.80 - 0.1 * d,
                "mm_dist": 3.3 + 0.8 * d,
                "diversity": 13.2 - 1.5 * d,
                "violence": 0.03,
                "peak_jerk": 240 + 80 * d,
            }
            add(model, method, edit, strength, seed, f"forget{suffix}", **forget)
            add(model, method, edit, strength, seed, f"retain{suffix}", **retain)
        if probes and picked:
            for part, share in (("forget-keyword", 0.8), ("forget-free", 0.5)):
                add(model, method, edit, strength, seed, part, violence=share * (1 - 0.9 * s))
            kinds = {
                "explicit": 0.7 - 0.55 * s,
                "implicit": 0.5 - 0.3 * s,
                "benign": 0.02,
                "hard_benign": 0.11,
            }
            for split, value in kinds.items():
                add(model, method, edit, strength, seed, split, violence=value)

    for split in ("forget", "retain"):
        add("real", "real", "", None, 0, split, **REAL)
        for variant in ("full", "retrain"):
            coded = {"r1": 0.89, "diversity": 13.1, "fid": 5.1, "violence": 0.96, "mpjpe": 0.0218}
            add("real", f"reconstruction-{variant}", "", None, 0, split, **coded)
    both("momask", "original", "s0", None, 0, 0.0, 0.0)
    both("momask", "retrain", "s0", None, 0, 1.0, 0.04)
    for strength in K:
        for seed in range(3):
            s = 1.05 * (1 - np.exp(-strength / 11)) + 0.03 * rng.standard_normal()
            d = (strength / 64) ** 1.3 + 0.02 * rng.standard_normal()
            both(
                "momask", "lcr", f"strength{strength:03d}-s{seed}", strength, seed, float(s), float(max(d, 0))
            )
    return rows


def make_matrix() -> list[dict[str, Any]]:
    """Records of two models and three methods, in the present form: LCR and erasure on one model, NPO on the other."""
    rows = make_records()
    more = []
    for method, model, knobs in (("erasure", "momask", (50, 100)), ("npo", "bamm", (50, 200))):
        for row in rows:
            if row["method"] != "lcr" or row["seed"] or row["strength"] not in (8, 16):
                continue
            strength = knobs[row["strength"] == 16]
            # A little more violence on forget prompts, and less on others.
            shift = (
                (1.03 if row["split"].startswith("forget") else 0.9) if row["metric"] == "violence" else 1.0
            )
            row = {**row, **{name: shift * row[name] for name in ("mean", "low", "high", "replicates")}}
            values = [shift * value for value in row["values"]]
            place = {
                "model": model,
                "method": method,
                "strength": strength,
                "edit": f"strength{strength:03d}-s0",
            }
            more.append({**row, **place, "values": values})
    ends = [row for row in rows if row["method"] in ("original", "retrain")]
    return rows + more + [{**row, "model": "bamm"} for row in ends]


def make_probes() -> list[dict[str, Any]]:
    attacks = (
        ("none", "text", 0.2, 48),
        ("misspelling", "text", 0.3, 40),
        ("gradient-0.5", "embedding", 0.6, 48),
        ("relearning-8x20", "weights", 0.8, 48),
        ("bf16", "precision", 0.2, 48),
        ("benign", "oversuppression", 0.06, 34),
    )
    columns = (
        ("momask", "original", None, 1.2),
        ("momask", "retrain", None, 0.3),
        ("momask", "lcr", 16, 0.9),
        ("momask", "erasure", 100, 0.7),
        ("bamm", "npo", 200, 1.0),
    )
    return [
        {
            "dataset": "synthetic",
            "concept": "violence",
            "model": model,
            "method": method,
            "edit": "s0" if strength is None else f"strength{strength:03d}-s0",
            "strength": strength,
            "seed": 0,
            "bundle": "ab" * 32,
            "attack": attack,
            "family": family,
            "mean": base * factor,
            "low": max(0.0, base * factor - 0.1),
            "high": min(1.0, base * factor + 0.1),
            "n": n,
            "shares": {"convolution": [float(i < round(base * factor * n)) for i in range(n)]},
        }
        for model, method, strength, factor in columns
        for attack, family, base, n in attacks
        if not (method == "original" and family == "oversuppression")
    ]
