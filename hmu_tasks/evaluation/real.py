"""Figures of the data itself and of the tokenizers' reconstructions: what any model is measured against."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hmu_tasks.config import paths
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.evaluation import figures
from hmu_tasks.evaluation.figures import NCS, Look
from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.session import Session
from hmu_tasks.metrics.motion import mean_joint_error
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer

Record = dict[str, Any]

# A real motion is at no distance from itself, so that these would only say that it is among the real ones.
OWN = ("fid", "kid", *(f"ncs{k}" for k in NCS), "ncs_rank", "ncs_rank_median")


def real_rows(
    session: Session, identity: Mapping[str, Any], sample_rows: Mapping[str, Sequence[int]]
) -> tuple[list[Record], list[tuple[dict[str, Any], np.ndarray]]]:
    """Measure real motions (`real`) and their reconstructions by both tokenizers on the test splits.

    Returns records and the real motions of the sample prompts. What compares the real motions with themselves is
    left out of their records.
    """
    rows: list[Record] = []
    made = {variant: paths.component("tokenizer", variant) for variant in ("full", "retrain")}
    coders = {
        f"reconstruction-{variant}": load_tokenizer(place, session.device)
        for variant, place in made.items()
        if absent_reason(place) is None
    }
    for method in ("real", *coders):
        looks, errors = {}, {}
        for name in ("forget", "retain"):
            clips = [np.array(c) for c in session.clips[name].features]
            shown = clips if method == "real" else coders[method].decode(coders[method].encode(clips))
            split = session.splits[name]
            # Every repeat has other captions of the same motions.
            once = figures.look(shown, session.judge, session.protocol)
            looks[name] = Look.joined([once] * split.prompts.repeats)
            if method != "real":
                errors[name] = [
                    float(mean_joint_error(to_joints(a), to_joints(b)).mean())
                    for a, b in zip(shown, clips, strict=True)
                ]
        for name, found in session.complete(looks).items():
            if name in errors:
                found.rows["mpjpe"] = np.array(errors[name])
            labels = {**identity, "method": method, "edit": None, "strength": None, "seed": None}
            measured = records(found, labels, seed=session.protocol.seed)
            rows += [row for row in measured if method != "real" or row["metric"] not in OWN]
    samples = [
        (
            {
                "split": name,
                "prompt": session.splits[name].prompts.captions[i].text,
                "clip_id": session.clips[name].ids[i],
                "frames": len(session.clips[name].features[i]),
                "fps": session.protocol.fps,
                "edit": None,
            },
            np.asarray(to_joints(np.array(session.clips[name].features[i])), np.float32),
        )
        for name, chosen in sample_rows.items()
        for i in chosen
    ]
    return rows, samples
