"""Metrics of the data itself and of the tokenizers' reconstructions: what any model is measured against."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.evaluation import measurements
from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.measurements import Scores
from hmu_tasks.evaluation.session import Session
from hmu_tasks.metrics import metric
from hmu_tasks.metrics.inputs import Reconstructed
from hmu_tasks.metrics.records import Record, labelled
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime import paths


def real_rows(
    session: Session, identity: Mapping[str, str], sample_rows: Mapping[str, Sequence[int]]
) -> tuple[list[Record], list[tuple[dict[str, Any], np.ndarray]]]:
    """Measure real motions (`real`) and their reconstructions by both tokenizers on the test splits.

    Returns records and the real motions of the sample prompts. Metrics that would
    compare the real motions with themselves are left out of their records.
    """
    rows: list[Record] = []
    made = {variant: paths.component("tokenizer", variant) for variant in ("full", "retrain")}
    coders = {
        f"reconstruction-{variant}": load_tokenizer(place, session.device)
        for variant, place in made.items()
        if absent_reason(place) is None
    }
    for method in ("real", *coders):
        scores, errors = {}, {}
        for name in ("forget", "retain"):
            clips = [np.array(c) for c in session.clips[name].features]
            shown = clips if method == "real" else coders[method].decode(coders[method].encode(clips))
            split = session.splits[name]
            # Every repeat has other captions of the same motions.
            once = measurements.score(shown, session.evaluators, session.protocol)
            scores[name] = Scores.joined([once] * split.prompts.repeats)
            if method != "real":
                pair = Reconstructed([to_joints(c) for c in shown], [to_joints(c) for c in clips])
                errors[name] = measurements.computed(pair, whole=False)
        for name, found in session.complete(scores).items():
            found.rows.update(errors.get(name, {}))
            labels = labelled({**identity, "method": method}, edit=None, strength=None, seed=None)
            measured = records(found, labels, seed=session.protocol.seed)
            # A real motion has distance 0 to itself, so metrics that compare with real motions are meaningless here.
            rows += [row for row in measured if method != "real" or metric(row["metric"]).of_real]
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
