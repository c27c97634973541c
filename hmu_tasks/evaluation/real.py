"""Metrics of the data itself and of the tokenizers' reconstructions: what any model is measured against."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer, load_tokenizer
from hmu_tasks.runtime import paths


def real_rows(
    session: Session,
    identity: Mapping[str, str],
    sample_rows: Mapping[str, Sequence[int]],
    original: Bundle | None,
) -> tuple[list[Record], list[tuple[dict[str, Any], np.ndarray]]]:
    """Measure real motions (`real`), their reconstructions by both tokenizers, and `resampled` on the test splits.

    `resampled` keeps the real codes of layer 0 and samples the others with `original`: generated motion of known label,
    on which the violence classifiers are checked. It is left out where the model does not sample layer by layer.
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
    recorded = {
        name: [np.array(clip) for clip in session.clips[name].features] for name in ("forget", "retain")
    }
    shown_by: dict[str, Callable[[str], list[np.ndarray] | None]] = {"real": recorded.__getitem__}
    shown_by |= {method: partial(_rebuilt, coder, recorded) for method, coder in coders.items()}
    if original is not None:
        shown_by["resampled"] = partial(_resampled, session, original, recorded)
    for method, show in shown_by.items():
        scores, errors = {}, {}
        for name, clips in recorded.items():
            shown = show(name)
            if shown is None:
                continue
            split = session.splits[name]
            # Every repeat has other captions of the same motions.
            once = measurements.score(shown, session.evaluators, session.protocol)
            scores[name] = Scores.joined([once] * split.prompts.repeats)
            if method in coders:
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


def _rebuilt(tokenizer: Tokenizer, recorded: Mapping[str, list[np.ndarray]], name: str) -> list[np.ndarray]:
    return tokenizer.decode(tokenizer.encode(recorded[name]))


def _resampled(
    session: Session, original: Bundle, recorded: Mapping[str, list[np.ndarray]], name: str
) -> list[np.ndarray] | None:
    """Motions of a split's clips with their further layers sampled for the captions of repeat 0."""
    tokenizer = original.model.tokenizer
    codes = session.resampled(original, name, tokenizer.encode(recorded[name]))
    return None if codes is None else tokenizer.decode(codes)
