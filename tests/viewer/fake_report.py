"""Made-up inputs of realistic shape for the report's tests."""

from typing import Any

import numpy as np
import pandas as pd
from fake_records import ERASURE, NPO, SELECTION, K, make_matrix, make_probes, make_records

from hmu_tasks.viewer.costs import CostRow
from hmu_tasks.viewer.inputs import MotionSample, ReportInputs

COSTS = (
    CostRow("momask", "retrain", None, None, None, 3520, 10560, 1.0),
    CostRow("momask", "lcr", 16, 8192, 0, 4000, 0, 1.0),
    CostRow("momask", "erasure", 100, 65536, 0, 0, 2000, 1.0),
    CostRow("bamm", "npo", 200, 900_000, 200, 64, 192, 1.5),
)


def make_joints(frames: int = 80, *, kick: bool = True, seed: int = 0) -> np.ndarray:
    """Walk a simple figure forward; with `kick` its right leg swings up once. Joints [F, 22, 3]."""
    t = np.arange(frames) / 20.0
    pose = np.zeros((22, 3))
    heights = {0: 0.93, 3: 1.04, 6: 1.17, 9: 1.23, 12: 1.44, 15: 1.54}
    for joint, height in heights.items():
        pose[joint, 1] = height
    for left, right, x, y in (
        (1, 2, 0.07, 0.85),
        (13, 14, 0.08, 1.36),
        (16, 17, 0.18, 1.38),
        (4, 5, 0.09, 0.48),
    ):
        pose[left], pose[right] = (x, y, 0), (-x, y, 0)
    for left, right, x, y, z in (
        (7, 8, 0.09, 0.07, -0.02),
        (10, 11, 0.1, 0.02, 0.12),
        (18, 19, 0.2, 1.12, 0.0),
    ):
        pose[left], pose[right] = (x, y, z), (-x, y, z)
    pose[20], pose[21] = (0.2, 0.88, 0.06), (-0.2, 0.88, 0.06)
    joints = np.repeat(pose[None], frames, axis=0)
    swing = 0.25 * np.sin(2 * np.pi * (t + 0.1 * seed))
    for joint, part in ((4, 0.5), (7, 1.0), (10, 1.1), (21, 0.7), (19, 0.4)):
        joints[:, joint, 2] += part * swing
    for joint, part in ((5, 0.5), (8, 1.0), (11, 1.1), (20, 0.7), (18, 0.4)):
        joints[:, joint, 2] -= part * swing
    if kick:
        up = np.exp(-(((t - t.mean()) / 0.22) ** 2))
        for joint, part in ((5, 0.4), (8, 0.9), (11, 1.0)):
            joints[:, joint, 1] += part * up
            joints[:, joint, 2] += 0.8 * part * up
    joints[..., 2] += 0.35 * t[:, None]
    return joints.astype(np.float32)


def make_samples(frames: int = 60) -> list[MotionSample]:
    prompts = [
        ("forget", "F01", "a person kicks with the right leg"),
        ("forget", "F02", "someone steps forward and delivers a <fast> side kick & turns"),
        ("forget", "F03", "a man throws two quick punches, then a hook"),
        ("retain", "R01", "a person walks forward slowly"),
        ("retain", "R02", "a woman waves with her left hand"),
    ]
    found = []
    for index, (split, clip_id, prompt) in enumerate(prompts):
        for method, strength in (("original", None), ("lcr", 16), ("retrain", None), ("real", None)):
            kick = split == "forget" and method in ("original", "real")
            joints = make_joints(frames + 7 * index, kick=kick, seed=index)
            model = "" if method == "real" else "momask"
            found.append(MotionSample(method, strength, split, prompt, clip_id, joints, model=model))
    return found


def make_usage(codes: int = 128, layers: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    tables = []
    for layer in range(layers):
        retain = rng.geometric(0.004, codes)
        forget = np.minimum((retain * rng.gamma(0.6, 0.25, codes)).astype(int), 900)
        forget[:12] = 40 + 30 * np.arange(12) if layer == 0 else forget[:12]
        retain[:12] = 2 + 3 * np.arange(12) if layer == 0 else retain[:12]
        ratio = (forget / forget.sum()) / (retain / retain.sum())
        tables.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "code": np.arange(codes),
                    "forget_clips": forget,
                    "retain_clips": retain,
                    "forget_count": 2 * forget,
                    "retain_count": 2 * retain,
                    "ratio": ratio,
                    "log_odds_z": np.log(ratio + 0.01) * 3,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def make_history(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for step in range(50, 1050, 50):
        fall = np.exp(-step / 300)
        rows += [(step, "loss", 3 * fall + 0.4 + 0.03 * rng.random()), (step, "accuracy", 0.7 * (1 - fall))]
        if step % 200 == 0:
            rows.append((step, "validation", 3 * fall + 0.5))
    return pd.DataFrame(rows, columns=["step", "name", "value"])


def make_filtering() -> dict[str, Any]:
    counts = {"train": (480, 3520), "val": (200, 200), "test": (440, 440), "all": (1120, 4160)}
    splits = {
        name: {"clips": f + r, "forget": f, "retain": r, "share": f / (f + r)}
        for name, (f, r) in counts.items()
    }
    words = {"kick": 420, "punch": 330, "hook": 90, "uppercut": 88, "jab": 70, "hit": 40}
    hits = {w: {"captions": 2 * n, "clips": n} for w, n in words.items()}
    rule = {"captions": 2076, "splits": splits, "keywords": hits | {"boxing": {"captions": 0, "clips": 0}}}
    sampled = [("substring", "a <b> jogs whith swinging arms", "hit"), ("lemma", "someone spars", "spar")]
    return {
        "concept": "violence",
        "rule": "lemma",
        "matches": 1,
        "captions": 12_000,
        "captions_of_forget_clips": {"captions": 3360, "without_keyword": 1080, "share": 0.3214},
        "rules": {"lemma": rule, "substring": rule},
        "harmless": {"kick": 14},
        "spellings": {"kciks": {"keyword": "kick", "captions": 3}},
        "disagreement": {
            "captions": 61,
            "captions_only_substring": 48,
            "captions_only_lemma": 13,
            "clips_only_substring": 12,
            "clips_only_lemma": 3,
            "clips_both": 1117,
            "sample": [
                {"clip_id": f"00000{i}", "line": i, "caption": text, "only": only, "keywords": [word]}
                for i, (only, text, word) in enumerate(sampled)
            ],
        },
        "twins_apart": [],
    }


CONTRACT = {"contract": "every value is finite", "column": "low", "checked": 5280, "success": True}
VALIDATION = {
    "success": True,
    "suites": [{"name": name, "contracts": [CONTRACT]} for name in ("clips", "split")],
}


def make_inputs(*, violence: bool = True, probes: bool = True, full: bool = True) -> ReportInputs:
    from hmu_tasks.metrics.comparisons import with_comparisons

    if not full:
        records = with_comparisons(make_records(violence=violence, probes=probes))
        return ReportInputs("humanml3d", "violence", records, SELECTION)
    components = ["evaluator", "tokenizer-full", "tokenizer-retrain", "base-momask-full"]
    return ReportInputs(
        dataset="synthetic",
        concept="violence",
        records=with_comparisons(make_matrix()),
        selection=SELECTION,
        others=(ERASURE, NPO),
        probes=make_probes(),
        costs=COSTS,
        samples=make_samples(),
        usage=make_usage(),
        edited={0: range(16)},
        histories={name: make_history(i) for i, name in enumerate(components)},
        filtering=make_filtering(),
        validation=VALIDATION,
        params={
            "run": {
                "dataset": "synthetic",
                "seed": 10107,
                "models": ["momask"],
                "methods": ["lcr"],
                "trainings": [0],
            },
            "train": {"base": {"momask": {"steps": 5}}},
            "unlearn": {"lcr": {"strengths": list(K)}},
        },
        digests={"momask/original/s0": "0f3a" * 16, "momask/lcr/strength016-s0": "9b21" * 16},
    )
