"""Figures of the data itself and of the tokenizers' reconstructions: what any model is measured against."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hmu_tasks import paths
from hmu_tasks.data.features import to_joints
from hmu_tasks.evaluation import figures
from hmu_tasks.evaluation.session import PAIRS, Session
from hmu_tasks.metrics.motion import mean_joint_error
from hmu_tasks.models.store import absent_reason, load_tokenizer

Record = dict[str, Any]


def real_rows(
    session: Session, identity: Mapping[str, Any], sample_rows: Mapping[str, Sequence[int]]
) -> tuple[list[Record], list[tuple[dict[str, Any], np.ndarray]]]:
    """Measure real motions (`real`) and their reconstructions by both tokenizers on the test splits.

    Returns records and the real motions of the sample prompts. The real motions are compared with themselves, so
    their FID is zero by construction and left out.
    """
    rows: list[Record] = []
    made = {variant: paths.component("tokenizer", variant) for variant in ("full", "retain")}
    coders = {
        f"reconstruction-{variant}": load_tokenizer(place, session.device)
        for variant, place in made.items()
        if absent_reason(place) is None
    }
    for method in ("real", *coders):
        values = {}
        for name in ("forget", "retain"):
            clips = [np.array(c) for c in session.clips[name].features]
            shown = clips if method == "real" else coders[method].decode(coders[method].encode(clips))
            split = session.splits[name]
            values[name] = figures.measure(
                split, shown * split.prompts.repeats, session.judge, session.protocol
            )
            if method == "real":
                values[name].pop("fid", None)
                values[name].pop("kid", None)
            else:
                errors = [
                    mean_joint_error(to_joints(a), to_joints(b)).mean()
                    for a, b in zip(shown, clips, strict=True)
                ]
                values[name]["mpjpe"] = [float(np.mean(errors))]
        for forget, retain in PAIRS.items():
            if forget in values:
                figures.floor_correct(values, forget, retain)
        for name, found in values.items():
            labels = {**identity, "method": method, "edit": None, "knob": None, "seed": None}
            rows += figures.records(found, session.splits[name], labels)
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
